"""Loading a language model for the backbone `pretrained`, and knowing it again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import nn

from beamwise._language_models import (
    TINY,
    model_folder,
    quiet_transformers,
    unreadable_model,
)
from beamwise.backbones.pretrained_config import PretrainedConfig, TinyConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BASE_FILE = "base.json"
"""Beside the model's own `config.json`: which weights training began with."""
TINY_POSITIONS = 2**15
"""Positions that `tiny` may read; it holds no table of them."""


class Loaded(NamedTuple):
    """A language model, without adapters, in evaluation mode."""

    model: PreTrainedModel
    weights: str | None
    """A hash of the weights; None where they are fresh, to be trained or replaced."""


def load_model(config: PretrainedConfig, vocab_size: int, described: Path | None = None) -> Loaded:
    """The model that the settings name, without adapters.

    Args:
        config: Of the backbone.
        vocab_size: Of the catalog; `tiny` has as many tokens.
        described: What `describe` wrote for a run whose weights come from its checkpoint. Where all
            weights are trained, the model is built from it with no numbers in it, and the weights
            that training began with are not needed; where adapters are, they must be the same.

    Raises:
        ValueError: One line, if transformers is not installed, there is no such model, weights are
            missing in it, they are others than the described ones, or the vocabulary is too small.
    """
    try:
        import transformers  # noqa: F401
    except ImportError:
        raise ValueError(
            "backbone 'pretrained' needs transformers and peft: pip install 'beamwise[text]'"
        ) from None
    if described is not None and config.lora is None:
        loaded = Loaded(_built(described), None)
    elif config.model == TINY:
        loaded = Loaded(_tiny(config.tiny, vocab_size), None)
    else:
        model = _read(config)
        loaded = Loaded(model, weights_hash(model))
    if described is not None:
        check_weights(loaded.weights, config, described)
    size = cast(nn.Embedding, loaded.model.get_input_embeddings()).num_embeddings
    if size < vocab_size:
        raise ValueError(
            f"model {config.model!r} has {size} tokens, the catalog has {vocab_size}: tokenize the "
            f"titles with this model's tokenizer (--method titles --set model={config.model})"
        )
    loaded.model.eval()
    return loaded


def describe(folder: Path, model: PreTrainedModel, weights: str | None) -> None:
    """Write what the model is and which weights it began with, so that a run folder opens."""
    folder.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(folder)
    text = json.dumps({"weights": weights}, indent=2)
    (folder / BASE_FILE).write_text(text + "\n", encoding="utf-8")


def check_weights(weights: str | None, config: PretrainedConfig, described: Path) -> None:
    """Refuse other weights than those that were described, unless neither matter any more.

    Raises:
        ValueError: One line, if they differ, or the description is missing or damaged.
    """
    try:
        theirs = json.loads((described / BASE_FILE).read_text(encoding="utf-8"))["weights"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(
            f"{described / BASE_FILE} is missing or damaged: train the run again"
        ) from None
    if weights is not None and theirs != weights:
        raise ValueError(
            f"model {config.model!r} has other weights than those that {described.parent} was "
            "trained on: put its files back, or train the run again"
        )


def weights_hash(model: PreTrainedModel) -> str:
    """Equal for equal weights, whatever file they came from."""
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        digest.update(f"{name} {parameter.dtype} {tuple(parameter.shape)}".encode())
        content = parameter.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(content.numpy().data)
    return digest.hexdigest()


def _tiny(sizes: TinyConfig, vocab_size: int) -> PreTrainedModel:
    from transformers import LlamaConfig

    return _from_config(
        LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=sizes.dim,
            intermediate_size=sizes.feedforward_dim,
            num_hidden_layers=sizes.num_layers,
            num_attention_heads=sizes.num_heads,
            max_position_embeddings=TINY_POSITIONS,
            rope_parameters={"rope_type": "default", "rope_theta": sizes.rope_theta},
            attention_dropout=sizes.dropout,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=None,
        )
    )


def _built(folder: Path) -> PreTrainedModel:
    """A model of the described sizes, whose weights are memory as it was found."""
    from transformers import AutoConfig
    from transformers.initialization import no_init_weights

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        with no_init_weights():
            model = _from_config(config)
        model.tie_weights()  # which is left out with the numbers
        return model
    except Exception as error:
        raise ValueError(
            f"{folder} describes no model ({_reason(error)}): train the run again"
        ) from None


def _from_config(config: Any) -> PreTrainedModel:
    """Fresh weights, by torch's own generator."""
    from transformers import AutoModelForCausalLM

    how: dict[str, Any] = {"attn_implementation": "sdpa", "dtype": torch.float32}
    return AutoModelForCausalLM.from_config(config, **how)


def _read(config: PretrainedConfig) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM

    place = model_folder(config.model)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[config.base_precision]
    try:
        with quiet_transformers():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                place,
                dtype=dtype,
                attn_implementation="sdpa",
                trust_remote_code=False,
                output_loading_info=True,
            )
        model, report = loaded
        if report["missing_keys"]:
            raise ValueError(f"there are no weights for {min(report['missing_keys'])}")
        if not all(parameter.requires_grad for parameter in model.parameters()):
            raise ValueError("it has adapters of peft, as yet unmerged: merge_and_unload does it")
    except Exception as error:  # a damaged folder fails in as many ways as there are formats
        raise unreadable_model(config.model, "causal language model", error) from None
    return model


def _reason(error: Exception) -> str:
    lines: list[Any] = str(error).strip().splitlines() or [type(error).__name__]
    return str(lines[0]).rstrip(". ")

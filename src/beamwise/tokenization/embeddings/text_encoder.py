"""Pretrained text models: loading them, and the mean of their hidden states over a text."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32


class Encoder(NamedTuple):
    """A pretrained model and its tokenizer, ready on a device."""

    tokenizer: Any
    model: Any
    device: torch.device
    name: str
    max_tokens: int
    """The longest text that the model can read."""

    def check_max_tokens(self, max_tokens: int) -> None:
        """Refuse to cut texts to more tokens than the model can read.

        Raises:
            ValueError: One line with the limit.
        """
        if max_tokens > self.max_tokens:
            raise ValueError(
                f"model {self.name} reads at most {self.max_tokens} tokens, embedding.max_tokens "
                f"is {max_tokens}: --set embedding.max_tokens={self.max_tokens}"
            )


def encode(encoder: Encoder, texts: list[str], max_tokens: int) -> Float32[np.ndarray, "texts dim"]:
    """The mean of the last hidden states over each text's tokens, special ones included, in fp32.

    Padding is on the right and masked, so neither a causal model nor one without a padding token
    sees it; a text without any token has the vector 0.

    Args:
        encoder: Model and tokenizer.
        texts: One batch.
        max_tokens: Tokens kept of each.
    """
    token_lists = encoder.tokenizer(texts, truncation=True, max_length=max_tokens)["input_ids"]
    lengths = torch.tensor([len(tokens) for tokens in token_lists])
    width = max(1, int(lengths.max()))
    padded = torch.full((len(texts), width), encoder.tokenizer.pad_token_id or 0)
    for row, tokens in zip(padded, token_lists, strict=True):
        row[: len(tokens)] = torch.tensor(tokens)
    attended = torch.arange(width) < lengths[:, None].clamp(min=1)  # of nothing there is no softmax
    with torch.inference_mode():
        hidden = encoder.model(
            input_ids=padded.to(encoder.device), attention_mask=attended.long().to(encoder.device)
        ).last_hidden_state
        is_token = (torch.arange(width) < lengths[:, None]).to(encoder.device)
        total = hidden.float().masked_fill(~is_token[:, :, None], 0).sum(dim=1)
        means = total.cpu() / lengths[:, None].clamp(min=1)
    return means.numpy()


def open_encoder(
    model: str, revision: str | None, precision: Literal["fp32", "bf16"], device: str
) -> Encoder:
    """Load model and tokenizer; of an encoder-decoder, the encoder.

    Args:
        model: A folder, or a name on the hub.
        revision: Branch, tag or commit on the hub; None takes the newest.
        precision: Of weights and products.
        device: A device as torch names it, or "auto": the accelerator where there is one.

    Raises:
        ValueError: One line, if transformers is not installed, the model is not found, is no model
            or not readable, or the device is not there.
    """
    _check_name(model)
    try:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging
    except ImportError:
        raise ValueError(
            f"the embedding model {model} needs transformers: pip install 'beamwise[text]'"
        ) from None
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    logging.disable_progress_bar()
    try:
        found, report = AutoModel.from_pretrained(
            model,
            revision=revision,
            dtype=dtype,
            trust_remote_code=False,
            output_loading_info=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(model, revision=revision, trust_remote_code=False)
        _check_complete(found, report["missing_keys"], tokenizer)
    except Exception as error:  # a damaged folder fails in as many ways as there are formats
        raise _not_a_model(model, error) from None
    finally:
        logging.enable_progress_bar()
    limits = [tokenizer.model_max_length, found.config.to_dict().get("max_position_embeddings")]
    encoder = found.get_encoder() if found.config.is_encoder_decoder else found
    place = _device(device)
    limit = min(limit for limit in limits if limit is not None)
    return Encoder(tokenizer, encoder.to(place).eval(), place, model, limit)


def _check_name(model: str) -> None:
    """Refuse what is clearly a path, and of no folder, without asking the hub for it."""
    is_path = model.startswith((".", "/", "~")) or model.endswith("/") or model.count("/") > 1
    if is_path and not Path(model).is_dir():
        raise ValueError(
            f"embedding.model {model!r} is no folder: give the folder of a model, or a name on the "
            "Hugging Face hub, as in meta-llama/Llama-3.1-8B-Instruct"
        )


def _check_complete(found: Any, missing_keys: set[str], tokenizer: Any) -> None:
    """Refuse what transformers fills up: absent weights with noise, an absent vocabulary with none.

    Raises:
        ValueError: What is absent.
    """
    unused = ("pooler.", "decoder.") if found.config.is_encoder_decoder else ("pooler.",)
    missing = sorted(key for key in missing_keys if not key.startswith(unused))
    if missing:
        raise ValueError(f"there are no weights for {missing[0]}")
    if len(tokenizer.get_vocab().keys() - set(tokenizer.all_special_tokens)) < 2:
        raise ValueError("there is no vocabulary of a tokenizer")


def _not_a_model(model: str, error: Exception) -> ValueError:
    reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")
    what = "holds no model" if Path(model).is_dir() else "is no folder and no model at hand"
    return ValueError(
        f"embedding.model {model!r} {what} that can be loaded ({reason}): give a folder with "
        "config.json, weights and tokenizer, or a name on the Hugging Face hub, where that is "
        "within reach"
    )


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, ImportError):
        raise ValueError(
            f"embedding.device={name} is not there: --set embedding.device=auto takes what is"
        ) from None
    return torch.device(name)

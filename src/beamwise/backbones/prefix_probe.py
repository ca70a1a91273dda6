"""Whether a language model can be run over prefix trees: refused where it gives another result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from beamwise.backbones.base import START_TOKEN, History, PrefixNodes, eval_mode

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from beamwise.backbones.pretrained import Pretrained

FACTOR = 1000.0
"""Hidden states are made so much longer, that a cap on logits shows even in fresh weights."""
TOLERANCES = {"fp32": 1e-3, "bf16": 0.1}
"""Of logits, as a share of the largest; the second is what products in bf16 differ by."""
CONTEXT, BRANCH = 5, 2
"""Tokens of the probe."""


def check_architecture(model: PreTrainedModel, name: str) -> None:
    """Refuse attention that does not take a mask over a tree, and caches that are not whole.

    Raises:
        ValueError: One line that names what the model has.
    """
    from transformers.cache_utils import DynamicCache, DynamicLayer

    implementation = model.config._attn_implementation
    if implementation != "sdpa":
        raise ValueError(
            f"model {name!r} attends with {implementation!r}: only 'sdpa' is right with a mask "
            "over a tree; load it with attn_implementation='sdpa'"
        )
    kinds = {type(layer) for layer in DynamicCache(config=model.config).layers}
    if kinds - {DynamicLayer}:
        found = ", ".join(sorted(kind.__name__ for kind in kinds - {DynamicLayer}))
        raise ValueError(
            f"model {name!r} does not keep every token of every layer ({found}): sliding windows "
            "and recurrent states cannot be shared by branches; give a model with full attention"
        )
    if not isinstance(model.get_output_embeddings(), nn.Linear):
        raise ValueError(
            f"model {name!r} has no linear output embedding to form logits with: give a causal "
            "language model"
        )


def check_probe(backbone: Pretrained, name: str) -> None:
    """Compare logits on a small tree with those of the model itself on whole sequences.

    Raises:
        ValueError: One line, if they differ or the model fails: it does not take positions or a
            mask as given, or its logits are not its output embedding applied to the hidden state.
    """
    tokens = (torch.arange(CONTEXT + 2 * BRANCH) * 7 + 3) % backbone.vocab_size
    tokens = tokens.to(backbone.model.device)
    try:
        with torch.no_grad(), eval_mode(backbone):
            ours = _on_tree(backbone, tokens)
            theirs = _on_sequences(backbone, tokens)
        difference = float((ours - theirs).abs().max() / theirs.abs().max())
        what = f"logits differ by {difference:.0%} of the largest"
    except Exception as error:  # what a model cannot do, it says in its own way
        difference = float("inf")
        what = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if not difference <= TOLERANCES[backbone.config.base_precision]:
        raise ValueError(
            f"model {name!r} cannot be run over prefix trees ({what}): it caps or scales its "
            "logits, or its attention takes no positions or no mask; give another model"
        )


def _on_tree(backbone: Pretrained, tokens: Int64[Tensor, " probe"]) -> Float[Tensor, "two vocab"]:
    """Logits at the ends of two branches, by a context that is read and a tree on it."""
    context = History(tokens[None, :CONTEXT], tokens.new_tensor([CONTEXT]))
    none = tokens.new_tensor([START_TOKEN])
    nodes = PrefixNodes(
        torch.cat((none, tokens[CONTEXT:]))[None],
        tokens.new_tensor([[-1, 0, 1, 0, 3]]),
        tokens.new_tensor([[0, 1, 2, 1, 2]]),
        tokens.new_full((1, 5), CONTEXT),
        (0, 1, 1),
    )
    hidden, _ = backbone.extend(backbone.read(context), nodes)
    return backbone.logits(FACTOR * hidden[0, [2, 4]])


def _on_sequences(
    backbone: Pretrained, tokens: Int64[Tensor, " probe"]
) -> Float[Tensor, "two vocab"]:
    """The same by the model itself, each branch a sequence of its own."""
    model = backbone.model
    branches = tokens[CONTEXT:].view(2, BRANCH)
    rows = torch.cat((tokens[:CONTEXT].expand(2, -1), branches), 1)

    def longer(_head: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (FACTOR * inputs[0], *inputs[1:])

    hook = backbone.head.register_forward_pre_hook(longer)
    try:
        with backbone.products():
            logits = model(inputs_embeds=backbone.embed(rows), use_cache=False).logits
    finally:
        hook.remove()
    return logits[:, -1].float()

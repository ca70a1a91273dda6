"""What every backbone must do: subclass `BackboneConformance` in a test file and give `make`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from beamwise.backbones.base import START_TOKEN, History, PrefixNodes


def random_history(batch: int, context: int, vocab_size: int, seed: int) -> History:
    """Histories of every length from the empty one (a single end token) up to `context`."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(2, vocab_size, (batch, context), generator=generator)
    lengths = torch.linspace(1, context, batch).long()
    return History(tokens.scatter(1, lengths[:, None] - 1, 1), lengths)


def random_tree(
    lengths: Int64[Tensor, " batch"], num_nodes: int, vocab_size: int, seed: int
) -> PrefixNodes:
    """A root and random nodes below it, in an order that only puts parents first."""
    generator = torch.Generator().manual_seed(seed)
    batch = len(lengths)
    tokens = torch.randint(2, vocab_size, (batch, num_nodes), generator=generator)
    tokens[:, 0] = START_TOKEN
    parents = torch.full((batch, num_nodes), -1)
    depth = torch.zeros_like(parents)
    for column in range(1, num_nodes):
        parents[:, column] = torch.randint(0, column, (batch,), generator=generator)
        depth[:, column] = depth.gather(1, parents[:, column : column + 1])[:, 0] + 1
    return PrefixNodes(tokens, parents, depth, lengths[:, None].expand_as(parents))


class BackboneConformance:
    """The contract of `beamwise.backbones.base.Backbone`, checked on random weights."""

    vocab_size = 23

    def make(self) -> Any:
        """A small backbone over `vocab_size` tokens, in float64 and evaluation mode."""
        raise AssertionError("a conformance test gives its own `make`")

    def setup_method(self, method: object = None) -> None:  # noqa: ARG002
        """Fresh weights, histories of all lengths, and a tree for each; pytest passes `method`."""
        torch.manual_seed(7)
        self.backbone = self.make()
        self.history = random_history(4, 9, self.vocab_size, seed=1)
        self.nodes = random_tree(self.history.lengths, 12, self.vocab_size, seed=2)

    def test_forward_equals_read_and_extend_in_value_and_gradient(self) -> None:
        """One packed pass and decoding call by call are the same function of the weights."""
        weight = torch.randn(self.backbone(self.history, self.nodes).shape, dtype=torch.float64)
        whole = self.backbone(self.history, self.nodes)
        gradients = self._gradients((whole * weight).sum())
        context, cache, parts = self.backbone.read(self.history), None, []
        for start, stop in ((0, 1), (1, 5), (5, 6), (6, 12)):
            block = self.nodes.map(partial(torch.narrow, dim=1, start=start, length=stop - start))
            hidden, cache = self.backbone.extend(context, block, cache)
            parts.append(hidden)
        torch.testing.assert_close(torch.cat(parts, 1), whole)
        for ours, theirs in zip(
            self._gradients((torch.cat(parts, 1) * weight).sum()), gradients, strict=True
        ):
            torch.testing.assert_close(ours, theirs)

    def test_a_node_sees_its_ancestors_only(self) -> None:
        """The hidden state of a path does not depend on what else the tree holds."""
        hidden = self.backbone(self.history, self.nodes)
        for row in range(len(self.history.lengths)):
            path = [11]
            while int(self.nodes.parents[row, path[0]]) >= 0:
                path.insert(0, int(self.nodes.parents[row, path[0]]))
            history = History(
                self.history.tokens[row : row + 1], self.history.lengths[row : row + 1]
            )
            alone = PrefixNodes(
                self.nodes.tokens[row, path][None],
                torch.arange(-1, len(path) - 1)[None],
                torch.arange(len(path))[None],
                self.nodes.context_length[row, path][None],
            )
            torch.testing.assert_close(self.backbone(history, alone)[0], hidden[row, path])

    def test_promised_order_changes_nothing(self) -> None:
        """`first_of_depth` saves work, never changes a value."""
        order = self.nodes.depth.argsort(dim=1, stable=True)
        place = order.argsort(dim=1)
        parents = self.nodes.parents.gather(1, order)
        moved = torch.where(parents < 0, -1, place.gather(1, parents.clamp(min=0)))
        depth = self.nodes.depth.gather(1, order)
        bounds = tuple(int((depth < level).sum(1).min()) for level in range(int(depth.max()) + 1))
        ordered = PrefixNodes(
            self.nodes.tokens.gather(1, order), moved, depth, self.nodes.context_length, bounds
        )
        plain = self.backbone(self.history, self.nodes)
        sorted_columns = order[..., None].expand(-1, -1, plain.shape[-1])
        torch.testing.assert_close(
            self.backbone(self.history, ordered), plain.gather(1, sorted_columns)
        )

    def test_padding_is_never_read(self) -> None:
        """Tokens past a history's length and padding nodes change nothing."""
        hidden = self.backbone(self.history, self.nodes)
        position = torch.arange(self.history.tokens.shape[1])
        padded = position >= self.history.lengths[:, None]
        other = History(self.history.tokens.masked_fill(padded, 3), self.history.lengths)
        wider = self.nodes.map(lambda part: nn.functional.pad(part, (0, 2), value=-1))
        result = self.backbone(other, wider)
        torch.testing.assert_close(result[:, :-2], hidden)
        assert bool(result.isfinite().all())

    def test_selected_rows_continue(self) -> None:
        """A context keeps the rows it is asked for, in their order."""
        rows = torch.tensor([2, 0])
        context = self.backbone.read(self.history).select(rows)
        torch.testing.assert_close(context.lengths, self.history.lengths[rows])
        block = self.nodes.map(lambda part: part[rows])
        hidden, _ = self.backbone.extend(context, block)
        torch.testing.assert_close(hidden, self.backbone(self.history, self.nodes)[rows])

    @torch.no_grad()
    def test_branches_of_a_cache_do_not_disturb_each_other(self) -> None:
        """What is computed on top of a cache, for all rows or for some, leaves it as it was."""
        expected = self.backbone(self.history, self.nodes)
        context = self.backbone.read(self.history)
        _, trunk = self.backbone.extend(context, self.nodes.map(lambda part: part[:, :5]))
        rest = self.nodes.map(lambda part: part[:, 5:])
        other = replace(rest, tokens=torch.where(rest.tokens < 0, -1, 4))
        hidden, branch = self.backbone.extend(context, rest, trunk)
        _, elsewhere = self.backbone.extend(context, other, trunk)
        torch.testing.assert_close(hidden, expected[:, 5:])
        rows = torch.tensor([3, 1])
        again, _ = self.backbone.extend(
            context.select(rows), rest.map(lambda part: part[rows]), trunk.select(rows)
        )
        torch.testing.assert_close(again, expected[rows, 5:])
        leaf = self.nodes.map(lambda part: part[:, 11:])
        below = replace(leaf, parents=torch.full_like(leaf.parents, 11), depth=leaf.depth + 1)
        ours, _ = self.backbone.extend(context, below, branch)
        theirs, _ = self.backbone.extend(context, below, elsewhere)
        assert not torch.allclose(ours, theirs)
        deeper = self.nodes.map(lambda part: torch.cat((part, part[:, 11:]), 1))
        deeper.parents[:, 12] = 11
        deeper.depth[:, 12] += 1
        torch.testing.assert_close(ours[:, 0], self.backbone(self.history, deeper)[:, 12])

    def test_logits_of_some_tokens_are_those_of_all(self) -> None:
        """Asking for a few tokens gives their columns."""
        hidden = self.backbone(self.history, self.nodes)
        tokens = torch.tensor([5, 2, 5])
        every = self.backbone.logits(hidden)
        assert every.shape[-1] == self.vocab_size == self.backbone.vocab_size
        torch.testing.assert_close(self.backbone.logits(hidden, tokens), every[..., tokens])

    def test_gradients_reach_every_weight(self) -> None:
        """No weight that can be trained is left out of training."""
        hidden = self.backbone(self.history, self.nodes)
        loss = self.backbone.logits(hidden).logsumexp(-1).sum()
        for name, gradient in zip(self._trained(), self._gradients(loss), strict=True):
            assert float(gradient.abs().sum()) > 0, f"no gradient reaches {name}"

    def _trained(self) -> dict[str, Tensor]:
        named = self.backbone.named_parameters()
        return {name: parameter for name, parameter in named if parameter.requires_grad}

    def _gradients(self, loss: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(loss, list(self._trained().values()), materialize_grads=True)

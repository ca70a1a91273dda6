"""The suite must catch backbones that break the contract, each in one way."""

import pytest
import torch

from beamwise.backbones import Tiger
from beamwise.testing.backbone_conformance import BackboneConformance, random_history, random_tree
from beamwise.testing.tiny_run import TINY_TIGER


class ForwardDiffers(Tiger):
    def forward(self, history, nodes):
        return super().forward(history, nodes) * 1.01


class SeesEverything(Tiger):
    def extend(self, context, nodes, cache=None):
        hidden, cache = super().extend(context, nodes, cache)
        return hidden + hidden.mean(1, keepdim=True), cache


class ReadsPadding(Tiger):
    def read(self, history):
        return super().read(type(history)(history.tokens, torch.full_like(history.lengths, 9)))


class ScoresOtherTokens(Tiger):
    def logits(self, hidden, tokens=None):
        return super().logits(hidden, None if tokens is None else tokens + 1)


class WritesIntoItsCache(Tiger):
    def extend(self, context, nodes, cache=None):
        result = super().extend(context, nodes, cache)
        if cache is not None:
            cache.keys[0].mul_(0.5)
        return result


class LeavesAWeightOut(Tiger):
    def read(self, history):
        return super().read(history)

    def extend(self, context, nodes, cache=None):
        hidden, cache = super().extend(context, nodes, cache)
        return hidden.detach() + 0 * self.embedding.weight.sum(), cache


def suite_of(broken):
    class Suite(BackboneConformance):
        def make(self):
            return broken(TINY_TIGER, self.vocab_size).double().eval()

    suite = Suite()
    suite.setup_method()
    return suite


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (ForwardDiffers, "test_forward_equals_read_and_extend_in_value_and_gradient"),
        (SeesEverything, "test_a_node_sees_its_ancestors_only"),
        (ReadsPadding, "test_padding_is_never_read"),
        (ScoresOtherTokens, "test_logits_of_some_tokens_are_those_of_all"),
        (WritesIntoItsCache, "test_branches_of_a_cache_do_not_disturb_each_other"),
        (LeavesAWeightOut, "test_gradients_reach_every_weight"),
    ],
)
def test_each_breach_is_caught(broken, test):
    with pytest.raises((AssertionError, RuntimeError, IndexError)):
        getattr(suite_of(broken), test)()
    getattr(suite_of(Tiger), test)()


def test_a_suite_without_a_backbone_says_so():
    with pytest.raises(AssertionError, match="gives its own `make`"):
        BackboneConformance().make()


def test_trees_put_parents_first_and_count_depth():
    nodes = random_tree(torch.tensor([1, 4]), 20, 9, seed=1)
    for row in range(2):
        for column in range(1, 20):
            parent = int(nodes.parents[row, column])
            assert 0 <= parent < column
            assert nodes.depth[row, column] == nodes.depth[row, parent] + 1


def test_histories_cover_every_length_and_end():
    history = random_history(4, 7, 9, seed=0)
    assert history.lengths.tolist() == [1, 3, 5, 7]
    assert history.tokens.gather(1, history.lengths[:, None] - 1).flatten().tolist() == [1] * 4

"""The shared search: chunks of users, and the backbone's mode."""

import torch

from beamwise import Catalog
from beamwise.backbones import History, Tiger
from beamwise.decoding.eligibility import Eligibility
from beamwise.decoding.request import SearchRequest
from beamwise.decoding.search import beam_levels, leaves_of, search
from beamwise.testing.table_backbone import TableBackbone
from beamwise.testing.tiny_run import TINY_TIGER

CATALOG = Catalog.from_codes(
    torch.randint(4, (30, 3), generator=torch.Generator().manual_seed(0)), codebook_size=4
)
HISTORIES = torch.tensor([[0, 1, 2, 3], [4, -1, -1, -1], [-1, -1, -1, -1], [5, 6, 7, -1]])


class Watched(TableBackbone):
    """Notes which histories were read together."""

    def read(self, history):
        self.lengths.append(history.lengths.tolist())
        return super().read(history)


def run(backbone, chunk_size, eligible=None):
    request = SearchRequest(backbone, HISTORIES, CATALOG, 5, "after", eligible)
    return search(request, (5, 5, 5), chunk_size)


def test_users_of_similar_history_length_share_a_chunk():
    backbone = Watched(CATALOG.vocab_size)
    backbone.lengths = []
    run(backbone, chunk_size=2)
    assert backbone.lengths == [[1, 4], [10, 13]]  # 3 tokens an item and the end token


def test_chunks_change_nothing_and_the_order_of_users_stays():
    backbone = TableBackbone(CATALOG.vocab_size)
    whole, single = run(backbone, chunk_size=4), run(backbone, chunk_size=1)
    assert torch.equal(whole.leaves, single.leaves)
    assert torch.equal(whole.leaf_log_probs, single.leaf_log_probs)
    alone = SearchRequest(backbone, HISTORIES[3:], CATALOG, 5, "after", None)
    assert torch.equal(search(alone, (5, 5, 5), 1).items, whole.items[3:])


def test_users_without_anything_eligible_are_not_read():
    backbone = Watched(CATALOG.vocab_size)
    backbone.lengths = []
    result = run(backbone, chunk_size=4, eligible=torch.zeros(30, dtype=torch.bool))
    assert backbone.lengths == []
    assert (result.leaves == -1).all()
    assert result.exact.all()


def test_no_gradient_is_kept():
    class Learned(TableBackbone):
        def logits(self, hidden, tokens=None):
            return super().logits(hidden, tokens) * torch.ones((), requires_grad=True)

    assert not run(Learned(CATALOG.vocab_size), 4).leaf_log_probs.requires_grad
    assert isinstance(Learned(4).encode_histories(HISTORIES, CATALOG), History)


def test_a_backbone_in_training_is_searched_without_dropout_and_stays_in_training():
    config = TINY_TIGER.model_copy(update={"dropout": 0.5})
    tiger = Tiger(config, CATALOG.vocab_size).train()
    first, second = run(tiger, 4), run(tiger, 4)
    assert torch.equal(first.leaf_log_probs, second.leaf_log_probs)
    assert all(module.training for module in tiger.modules())


def test_levels_report_what_lives_on_and_what_ends():
    # Titles 2$, 23$ and 3$: at level 2 the end of 2 and of 3 are leaves, 23 lives on.
    catalog = Catalog.from_tokens([[2, 0], [2, 3], [3, 0]], lengths=[1, 2, 1])
    backbone = TableBackbone(catalog.vocab_size, num_values=1)  # all tie: the lower node wins
    request = SearchRequest(backbone, HISTORIES[:1] * 0, catalog, 3, "after", None)
    users = torch.zeros(1, dtype=torch.int64)
    levels = list(beam_levels(request, users, (2, 2, 2), Eligibility(catalog, None)))
    assert [level.kept.nodes.tolist() for level in levels] == [[1, 2], [4], []]
    assert [level.leaves.nodes.tolist() for level in levels] == [[], [3, 5], [6]]
    assert [level.best_dropped.item() for level in levels] == [-torch.inf] * 3
    narrow = list(beam_levels(request, users, (1, 2, 2), Eligibility(catalog, None)))
    assert [level.kept.nodes.tolist() for level in narrow] == [[1], [4], []]
    assert narrow[0].best_dropped.item() > -torch.inf
    found = leaves_of(narrow, catalog, 1)
    assert found.leaves.tolist() == [0, 1]
    assert found.best_dropped.item() == narrow[0].best_dropped.item()

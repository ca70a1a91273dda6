import torch

from beamwise import Catalog
from beamwise.backbones import History, Tiger
from beamwise.decoding.request import SearchRequest
from beamwise.decoding.search import search
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

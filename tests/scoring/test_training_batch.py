import pytest
import torch

from beamwise import Catalog
from beamwise.backbones import Llama, LlamaConfig, Tiger
from beamwise.objectives.base import Needs
from beamwise.scoring import Scorer, TrainingBatch
from beamwise.sequences.negatives import Candidates, sample_negatives
from beamwise.sequences.packing import PackedItems
from beamwise.testing.tiny_catalogs import TINY_TIGER, TITLES, random_semantic_ids


def test_a_batch_moves_whole():
    catalog = random_semantic_ids(3)
    tiger = Tiger(TINY_TIGER, catalog.vocab_size)
    candidates = torch.tensor([[0, 1, 2]])
    batch = TrainingBatch.assemble(
        tiger,
        catalog,
        torch.tensor([[1]]),
        Candidates(candidates),
        scaling="inverse-inclusion",
        needs=Needs(legal_logits=True),
    )
    moved = batch.to(torch.device("meta"))
    tensors = [moved.history.tokens, moved.history.lengths, moved.tree.tokens, moved.tree.places]
    tensors += [moved.tree.nodes.tokens, moved.tree.nodes.parents, moved.counts, moved.log_weights]
    tensors += [moved.legal.tokens, moved.legal.target_place, moved.is_item]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert moved.tree.nodes.first_of_depth == batch.tree.nodes.first_of_depth


@pytest.mark.parametrize(
    "catalog", [random_semantic_ids(0), TITLES], ids=["semantic ids", "titles"]
)
def test_legal_tokens_are_the_children_along_the_targets_path(catalog):
    tiger = Tiger(TINY_TIGER, catalog.vocab_size)
    leaves = torch.arange(catalog.num_leaves).repeat(2)[:5]
    candidates = Candidates(torch.stack((leaves, leaves.flip(0)), 1))
    histories = torch.zeros(5, 1, dtype=torch.int64)
    batch = TrainingBatch.assemble(
        tiger, catalog, histories, candidates, needs=Needs(legal_logits=True)
    )
    legal, paths = batch.legal, catalog.leaf_tokens.tolist()
    for target, leaf in enumerate(leaves.tolist()):
        for level in range(catalog.num_levels):
            mine = legal.step == target * catalog.num_levels + level
            assert int(legal.counts[target, level]) == int(mine.sum())
            if paths[leaf][level] < 0:
                assert not mine.any()
                continue
            same = [p[level] for p in paths if p[:level] == paths[leaf][:level]]
            assert legal.tokens[mine].tolist() == sorted(set(same))
            assert legal.places[mine].unique().tolist() == [
                int(batch.tree.places[target, 0, level])
            ]
            place = int(legal.target_place[target, level])
            assert bool(mine[place])
            assert int(legal.tokens[place]) == paths[leaf][level]


def test_without_need_no_legal_tokens_are_made():
    tiger = Tiger(TINY_TIGER, TITLES.vocab_size)
    candidates = Candidates(torch.tensor([[0, 1]]))
    batch = TrainingBatch.assemble(tiger, TITLES, torch.tensor([[1]]), candidates)
    assert batch.legal is None
    assert batch.num_targets == 1


TINY_LLAMA = LlamaConfig(dim=16, num_layers=2, num_heads=2, head_dim=8, feedforward_dim=16)
MORE_TITLES = Catalog.from_tokens(
    torch.tensor([[5, 6, 7], [5, 6, 0], [8, 0, 0], [5, 9, 0], [5, 6, 4], [6, 6, 6]]),
    lengths=[3, 2, 1, 2, 3, 3],
)


def coded(end_token):
    generator = torch.Generator().manual_seed(3)
    codes = torch.randint(3, (14, 3), generator=generator)
    return Catalog.from_codes(codes, 3, end_token=end_token)


def gradients_of(model, loss):
    return torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)


@pytest.mark.parametrize(
    "catalog",
    [coded(False), coded(True), MORE_TITLES],
    ids=["semantic ids", "with end token", "titles"],
)
@pytest.mark.parametrize("count", [0, 3])
def test_packed_scores_and_gradients_are_those_of_targets_alone(catalog, count):
    torch.manual_seed(0)
    model = Llama(TINY_LLAMA, catalog.vocab_size).double().eval()
    items = torch.tensor([[0, 3, 2, 1, 5], [4, 1, 3, -1, -1]])
    rows, columns = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([1, 3, 4, 1, 2])
    leaves = catalog.leaf_of_item[items[rows, columns]].long()[:, None]
    generator = torch.Generator().manual_seed(1)
    if count:
        drawn = sample_negatives(leaves[:, 0], catalog.num_leaves, count, generator)
        leaves = torch.cat((leaves, drawn), 1)
    packed = TrainingBatch.assemble_packed(
        model,
        catalog,
        PackedItems(items, rows, columns),
        Candidates(leaves),
        needs=Needs(legal_logits=True),
    )
    histories = torch.full((5, 5), -1)
    for target, (row, column) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        histories[target, :column] = items[row, :column]
    alone = TrainingBatch.assemble(
        model, catalog, histories, Candidates(leaves), needs=Needs(legal_logits=True)
    )
    needs = Needs(negatives=count > 0, legal_logits=True, temperature=1.5)
    weights = torch.randn(packed.tree.tokens.shape, generator=generator)
    found = []
    for batch in (packed, alone):
        scores = Scorer(model)(batch, needs)
        logits = scores.legal.logits
        total = (scores.log_probs * weights).sum() + (logits * logits.detach().sin()).sum()
        found.append((scores, gradients_of(model, total)))
    (ours, our_gradients), (theirs, their_gradients) = found
    torch.testing.assert_close(ours.log_probs, theirs.log_probs)
    torch.testing.assert_close(ours.legal.logits, theirs.legal.logits)
    assert torch.equal(ours.legal.target_place, theirs.legal.target_place)
    for name, mine, other in zip(
        dict(model.named_parameters()), our_gradients, their_gradients, strict=True
    ):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6, msg=name)


def test_a_packed_row_reads_no_more_than_its_last_target_needs():
    catalog = coded(False)
    model = Llama(TINY_LLAMA, catalog.vocab_size)
    packed = PackedItems(torch.tensor([[0, 3, 2]]), torch.tensor([0, 0]), torch.tensor([1, 2]))
    leaves = catalog.leaf_of_item[torch.tensor([3, 2])].long()[:, None]
    batch = TrainingBatch.assemble_packed(model, catalog, packed, Candidates(leaves))
    assert batch.history.lengths.tolist() == [8]  # all of two items, two tokens of the third
    assert batch.history.tokens.shape == (1, 8)


def test_cross_entropy_of_a_packed_row_computes_nothing_twice():
    catalog = coded(True)
    model = Llama(TINY_LLAMA, catalog.vocab_size).eval()
    packed = PackedItems(torch.tensor([[0, 3, 2]]), torch.tensor([0, 0]), torch.tensor([1, 2]))
    leaves = catalog.leaf_of_item[torch.tensor([3, 2])].long()[:, None]
    batch = TrainingBatch.assemble_packed(model, catalog, packed, Candidates(leaves))
    assert (batch.tree.nodes.depth == 0).all()
    # the last code of the first target has two labels: the end token and the next item's code
    first_end = int(batch.tree.used[batch.tree.places[0, 0, 3]])
    second_start = int(batch.tree.used[batch.tree.places[1, 0, 0]])
    lengths = batch.tree.nodes.context_length.flatten()
    assert int(lengths[first_end]) == int(lengths[second_start]) == 6

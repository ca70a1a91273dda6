"""Only the legal logits, without those of the vocabulary: the same values, gradients and losses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise import Catalog
from beamwise.backbones import Llama, LlamaConfig, Tiger
from beamwise.objectives import OBJECTIVES
from beamwise.objectives.base import Needs
from beamwise.scoring import Scorer, TrainingBatch, legal_tokens
from beamwise.scoring.legal_tokens import LegalProducts
from beamwise.sequences.negatives import Candidates
from beamwise.sequences.packing import PackedItems
from beamwise.testing.tiny_catalogs import TINY_TIGER, TITLES, random_semantic_ids
from beamwise.testing.title_like import title_like_catalog

CATALOGS = {
    "semantic ids": random_semantic_ids(0),
    "short titles": TITLES,
    "titles": title_like_catalog(0),
}
TINY_LLAMA = LlamaConfig(dim=16, num_layers=2, num_heads=2, head_dim=8, feedforward_dim=16)
ALONE = Needs(legal_logits=True, vocabulary=False, temperature=1.5)
OBJECTIVES_OF_LEGAL_TOKENS = {
    "msl": {},
    "msl, branching": {"average": "branching"},
    "msl, adaptive": {"adaptive_temperature": True},
    "bear": {"beam_width": 2},
    "bear, log-sigmoid": {"beam_width": 2, "form": "log-sigmoid"},
    "bear, reweight": {"beam_width": 2, "form": "reweight"},
    "prefix-survival": {"beam_width": 2, "smoothing": 0.1},
    "prefix-survival, branching": {"beam_width": 2, "average": "branching"},
    "smoothed": {},
    "smoothed, branching": {"average": "branching"},
}


def batches(catalog, backbone, needs, seed=1):
    """Some targets one a row and, for a causal backbone, packed, made for `needs` each."""
    generator = torch.Generator().manual_seed(seed)
    if backbone.causal_context:
        items = torch.randint(catalog.num_items, (2, 5), generator=generator)
        items[1, 3:] = -1
        rows, columns = torch.tensor([0, 0, 0, 1]), torch.tensor([1, 3, 4, 2])
        leaves = catalog.leaf_of_item[items[rows, columns]].long()
        packed = PackedItems(items, rows, columns)
        return TrainingBatch.assemble_packed(
            backbone, catalog, packed, Candidates(leaves[:, None]), needs=needs
        )
    histories = torch.tensor([[0, 2, 1], [3, -1, -1], [-1, -1, -1], [1, 1, -1], [0, 3, -1]])
    leaves = torch.randint(catalog.num_leaves, (5,), generator=generator)
    return TrainingBatch.assemble(
        backbone, catalog, histories, Candidates(leaves[:, None]), needs=needs
    )


def backbones(catalog):
    torch.manual_seed(0)
    yield Tiger(TINY_TIGER, catalog.vocab_size).double().eval()
    yield Llama(TINY_LLAMA, catalog.vocab_size).double().eval()


def gradients_of(model, loss):
    return torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)


@pytest.mark.parametrize("catalog", CATALOGS.values(), ids=CATALOGS)
@pytest.mark.parametrize("blocks", ["vocabulary", "one", "many"])
def test_logits_and_gradients_are_those_of_the_whole_vocabulary(catalog, blocks, monkeypatch):
    if blocks != "vocabulary":
        monkeypatch.setattr(legal_tokens, "SMALL_VOCABULARY", 0)
    if blocks == "many":  # nodes with 3 children or more alone, the others one step at a time
        monkeypatch.setattr(legal_tokens, "MANY_CHILDREN", 3)
        monkeypatch.setattr(legal_tokens, "MANY_LOGITS", 0)
        monkeypatch.setattr(legal_tokens, "STEPS_AT_ONCE", 1)
    whole = replace(ALONE, vocabulary=True)
    for model in backbones(catalog):
        ours = Scorer(model)(batches(catalog, model, ALONE), ALONE)
        theirs = Scorer(model)(batches(catalog, model, whole), whole)
        assert ours.log_probs is None
        assert torch.equal(ours.counts, theirs.counts)
        for name in ("step", "counts", "target_place"):
            assert torch.equal(getattr(ours.legal, name), getattr(theirs.legal, name))
        several = (theirs.legal.counts.flatten() > 1)[theirs.legal.step]
        logits = theirs.legal.logits.where(several, 0.0)
        torch.testing.assert_close(ours.legal.logits, logits)
        factors = torch.linspace(-1, 1, len(logits), dtype=torch.float64)
        wanted = gradients_of(model, (logits * factors).sum())
        found = gradients_of(model, (ours.legal.logits * factors).sum())
        for mine, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("catalog", CATALOGS.values(), ids=CATALOGS)
@pytest.mark.parametrize("setting", OBJECTIVES_OF_LEGAL_TOKENS)
def test_objectives_have_the_same_loss_gradient_and_metrics(catalog, setting):
    kind = OBJECTIVES[setting.partition(",")[0]]
    config = kind.Config(**OBJECTIVES_OF_LEGAL_TOKENS[setting])
    assert not kind(config).needs.vocabulary
    for model in backbones(catalog):
        results = []
        for vocabulary in (False, True):
            needs = replace(kind(config).needs, vocabulary=vocabulary)
            scores = Scorer(model)(batches(catalog, model, needs), needs)
            loss, metrics = kind(config).double()(scores)
            results.append((loss, gradients_of(model, loss.sum()), metrics))
        (ours, our_gradients, our_metrics), (theirs, their_gradients, their_metrics) = results
        torch.testing.assert_close(ours, theirs)
        for mine, other in zip(our_gradients, their_gradients, strict=True):
            torch.testing.assert_close(mine, other)
        assert their_metrics.keys() - our_metrics.keys() <= {"cross_entropy"}
        for name, metric in our_metrics.items():
            assert float(metric) == pytest.approx(float(their_metrics[name])), name


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("msl", {"ce_weight": 0.5}),
        ("bear", {"softmax": "vocabulary"}),
        ("prefix-survival", {"ce_weight": 0.5}),
        ("smoothed", {"ce_weight": 0.5}),
        ("ce", {}),
        ("apao-pointwise", {}),
        ("apao-pairwise", {}),
        ("dpo", {"reference": "none"}),
        ("dmpo", {"reference": "none"}),
        ("s-dpo", {"reference": "none"}),
    ],
)
def test_objectives_that_read_the_vocabulary_say_so(name, settings):
    kind = OBJECTIVES[name]
    objective = kind(kind.Config(**settings))
    assert objective.needs.vocabulary
    alone = Needs(legal_logits=True, vocabulary=False)
    model = Tiger(TINY_TIGER, TITLES.vocab_size)
    scores = Scorer(model)(batches(TITLES, model, alone), alone)
    with pytest.raises(ValueError, match="score with vocabulary=True"):
        objective(scores)


def test_nothing_is_computed_past_the_last_choice(monkeypatch):
    monkeypatch.setattr(legal_tokens, "SMALL_VOCABULARY", 0)
    # [5,6,1], [5,6,7,1], [5,9,1], [8,1]: decided after 3 tokens (1 or 7), 3, 2 and 1
    model = Tiger(TINY_TIGER, TITLES.vocab_size)
    leaves = torch.tensor([[0], [1], [2], [3]])
    histories = torch.zeros(4, 1, dtype=torch.int64)
    batch = TrainingBatch.assemble(model, TITLES, histories, Candidates(leaves), needs=ALONE)
    expected = [[0, 5, 6], [0, 5, 6], [0, 5, -1], [0, -1, -1]]
    assert batch.tree.nodes.tokens.tolist() == expected
    assert isinstance(batch.legal, LegalProducts)
    assert batch.legal.counts.tolist() == [[2, 2, 2, 0], [2, 2, 2, 1], [2, 2, 1, 0], [2, 1, 0, 0]]
    assert len(batch.legal.nodes) == 9  # steps with a choice
    assert set(batch.legal.tokens.tolist()) == {1, 5, 6, 7, 8, 9}
    llama = Llama(TINY_LLAMA, TITLES.vocab_size)
    packed = PackedItems(torch.tensor([[0, 1]]), torch.tensor([0]), torch.tensor([1]))
    batch = TrainingBatch.assemble_packed(
        llama, TITLES, packed, Candidates(leaves[:1]), needs=ALONE
    )
    assert batch.history.tokens.tolist() == [[5, 6, 7, 5, 6]]


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_node_with_many_children_has_one_product_for_all(seed):
    catalog = title_like_catalog(seed, num_items=200, num_words=60, most_words=2)
    generator = torch.Generator().manual_seed(seed)
    leaves = torch.randint(catalog.num_leaves, (40,), generator=generator)
    model = Tiger(TINY_TIGER, catalog.vocab_size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(legal_tokens, "MANY_CHILDREN", 20)
        patch.setattr(legal_tokens, "MANY_LOGITS", 40 * 20)
        patch.setattr(legal_tokens, "SMALL_VOCABULARY", 0)
        batch = TrainingBatch.assemble(
            model, catalog, leaves[:, None], Candidates(leaves[:, None]), needs=ALONE
        )
    first_words = int(catalog.num_children(torch.tensor([1])))  # what may follow the quote
    assert (40, first_words) in batch.legal.blocks
    (others,) = (block for block in batch.legal.blocks if block != (40, first_words))
    scored = sum(steps * tokens for steps, tokens in batch.legal.blocks)
    assert sum(steps for steps, _ in batch.legal.blocks) == len(batch.legal.nodes)
    assert int(batch.legal.source.max()) == scored
    assert others[1] < catalog.vocab_size


def test_a_catalog_without_any_choice_has_no_loss_and_no_gradient():
    catalog = Catalog.from_tokens([[3, 4, 5]])
    for model in backbones(catalog):
        histories = torch.zeros(2, 1, dtype=torch.int64)
        leaves = torch.zeros(2, 1, dtype=torch.int64)
        batch = TrainingBatch.assemble(model, catalog, histories, Candidates(leaves), needs=ALONE)
        kind = OBJECTIVES["msl"]
        loss, _ = kind(kind.Config())(Scorer(model)(batch, ALONE))
        assert loss.tolist() == [0.0, 0.0]
        assert not any(bool(part.any()) for part in gradients_of(model, loss.sum()))

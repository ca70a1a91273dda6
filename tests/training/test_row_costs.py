"""What rows are said to take, beside what they do take when they are computed."""

from dataclasses import replace

import pytest
import torch

from beamwise.backbones import build_backbone
from beamwise.objectives.base import Needs
from beamwise.scoring import Scorer
from beamwise.testing.title_like import title_like_catalog
from beamwise.training import batch_source
from beamwise.training.batch_source import BatchSource
from beamwise.training.run_data import RunData

ALONE = Needs(legal_logits=True, vocabulary=False)
NEEDS = {"ce": Needs(), "pairwise": Needs(negatives=True), "legal": ALONE}


@pytest.fixture
def source_of(make_config):
    """Batches over titles or semantic IDs, cut by tokens and logits."""

    def make(backbone, needs, *, titles=True, vocab_size=400, **limits):
        config = make_config(backbone={"name": backbone}, training={"chunk_size": None})
        data = RunData.load(config.data)
        if titles:
            catalog = title_like_catalog(
                0, data.catalog.num_items, num_words=40, vocab_size=vocab_size
            )
            data = replace(data, catalog=catalog)
        torch.manual_seed(0)
        model = build_backbone(config.backbone, data.catalog.vocab_size)
        return BatchSource(model, data, config, needs)

    return make


@pytest.mark.parametrize("backbone", ["tiger", "llama"])
@pytest.mark.parametrize("needs", NEEDS)
def test_rows_of_titles_take_about_what_is_said(source_of, backbone, needs):
    source = source_of(backbone, NEEDS[needs])
    rows = torch.arange(20)
    for row in rows.split(1):
        said, formed, taken, logits = of_row(source, row)
        # prefixes that candidates share, and what is forced at the end, are counted and not taken
        assert taken - 1 <= said <= (1.9 if needs == "pairwise" else 1.5) * taken
        assert logits <= formed <= (1.9 if needs == "pairwise" else 1.3) * logits


def of_row(source, row):
    """Tokens and logits of one row: said, and taken."""
    packs, seen = source.train, []
    costs = source._costs
    for method in ("widths", "logits"):
        original = getattr(type(costs), method)
        setattr(costs, method, lambda step, f=original: seen.append(f(costs, step)) or seen[-1])
    ((_, batch),) = source.batches(packs, row, 0)
    scores = Scorer(source.backbone)(batch, source.needs)
    nodes = batch.tree.nodes
    is_free = nodes.depth == 0 if source.backbone.causal_context else nodes.depth < 0
    taken = int(batch.history.lengths.sum() + ((nodes.depth >= 0) & ~is_free).sum())
    if source.needs.vocabulary:
        logits = len(batch.tree.used) * source.catalog.vocab_size
    else:
        logits = len(scores.legal.logits)
    return int(seen[0]), int(seen[1]), taken, logits


@pytest.mark.parametrize("backbone", ["tiger", "llama"])
def test_rows_of_semantic_ids_are_items_times_levels(source_of, backbone):
    source = source_of(backbone, Needs(negatives=True), titles=False)
    packs, rows, seen = source.train, torch.arange(20), []
    original = source._costs.widths
    source._costs.widths = lambda step: seen.append(original(step)) or seen[-1]
    list(source.batches(packs, rows, 0))
    sizes, num_items = packs.sizes[rows], packs.num_items[rows]
    computed = 6 if backbone == "llama" else 7  # of 6 negatives and the target
    levels = source.catalog.num_levels
    assert torch.equal(seen[0], (num_items + sizes * computed) * levels)


def test_large_vocabularies_bound_chunks_by_their_logits(source_of, monkeypatch):
    # limits of 20,000 tokens and 400,000 logits: of a vocabulary of 10,000 that is 40 prefixes
    monkeypatch.setattr(batch_source, "CPU_LIMITS", (20_000, 400_000))
    for needs, several in ((Needs(), True), (ALONE, False)):
        source = source_of("tiger", needs, vocab_size=10_000)
        chunks = [batch for _, batch in source.batches(source.train, torch.arange(40), 0)]
        assert sum(batch.num_targets for batch in chunks) == 40
        assert all(len(batch.tree.used) * (10_000 if several else 1) <= 400_000 for batch in chunks)
        assert (len(chunks) >= 8) == several
        assert max(batch.num_targets for batch in chunks) >= 3

"""Evaluation where items are titles: a hit is the exact title, or the item."""

import pytest
import torch

from beamwise.evaluation import EvaluationConfig, evaluate_windows
from beamwise.testing.brute_force import BruteForce
from beamwise.testing.survival_example import random_windows
from beamwise.testing.table_backbone import TableBackbone
from beamwise.testing.tiny_catalogs import random_titles


@pytest.mark.parametrize("mask", ["after", "before"])
def test_titles_count_by_exact_title_and_by_item(mask):
    catalog = random_titles(2, num_items=40, num_words=2)
    assert catalog.num_leaves < catalog.num_items  # some share a title
    rows = catalog.leaf_tokens[catalog.leaf_of_item.long()].tolist()
    paths = [tuple(token for token in row if token >= 0) for row in rows]
    titles = sorted(set(paths))
    backbone, windows = TableBackbone(catalog.vocab_size, seed=2), random_windows(40, 30)
    config = EvaluationConfig(ks=(1, 5), beam_width=5, mask=mask)
    found = evaluate_windows(backbone, windows, catalog, config)
    hits = {"recall@1": 0.0, "recall@5": 0.0, "recall@5_by_item": 0.0}
    for row, target in enumerate(windows.targets(torch.arange(30)).tolist()):
        read = backbone.encode_histories(windows.histories(torch.tensor([row])), catalog)
        tokens = read.tokens[0].tolist()
        naive = BruteForce(paths, lambda p, t=tokens: backbone.next_token_logits(t, p), mask)
        best = [titles[leaf] for leaf in naive.beam_search([5] * catalog.num_levels, 5).leaves]
        title = paths[target]
        if title in best:
            rank, size = best.index(title), paths.count(title)
            before = sum(paths.count(other) for other in best[:rank])
            hits["recall@1"] += rank == 0
            hits["recall@5"] += 1
            # of the items of one title, each is as likely to be shown first
            hits["recall@5_by_item"] += min(size, max(0, 5 - before)) / size
    assert hits["recall@5"] > hits["recall@5_by_item"] > 0
    for name, count in hits.items():
        assert found.summary[name] == pytest.approx(count / 30)

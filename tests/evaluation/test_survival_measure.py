"""A whole report against naive loops; batches, processes and retired targets change no count."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from beamwise.catalog import Catalog
from beamwise.decoding import node_log_probs
from beamwise.evaluation import EvaluationConfig, evaluate_windows
from beamwise.evaluation.survival_counts import SurvivalConfig
from beamwise.evaluation.survival_measure import measure_survival
from beamwise.testing.processes import run_together
from beamwise.testing.survival_example import random_windows
from beamwise.testing.table_backbone import TableBackbone
from beamwise.testing.tiny_catalogs import random_titles

CONFIG = SurvivalConfig(ks=(1, 3), beam_width=3, widths=(2, 3, 5), timed_users=2)


def make_catalog(seed: int, *, titles: bool = False) -> Catalog:
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 4, (20, 3), generator=generator)
    if not titles:
        return Catalog.from_codes(codes, codebook_size=4)
    return Catalog.from_tokens(codes + 2, torch.randint(1, 4, (20,), generator=generator))


def naive(backbone, windows, catalog, config, width):
    """The counts of one width, with Python lists, paths and sets."""
    out = dict.fromkeys(("found", "pruned", "promoted", "outscored"), 0)
    out |= dict.fromkeys(("within", "within_pruned", "within_pruned_by_token"), 0)
    levels, k = catalog.num_levels, config.top_k
    by_level = {name: [0] * levels for name in ("kept_targets", "kept_leaves", "pruned", "out")}
    rows = torch.arange(len(windows))
    scores = node_log_probs(backbone, windows.histories(rows), catalog, config.mask).tolist()
    paths = [tuple(t for t in row if t >= 0) for row in catalog.leaf_tokens.tolist()]
    prefixes = sorted({path[:n] for path in paths for n in range(levels + 1)})
    node = {p: int(catalog.find(torch.tensor([[*p, -1]]))[0]) for p in prefixes}
    for row, target in enumerate(windows.targets(rows).tolist()):
        score = {p: scores[row][node[p]] for p in prefixes}
        own = paths[int(catalog.leaf_of_item[target])]
        best = sorted(paths, key=lambda p: (-score[p], p))
        alive, beam, found = [], {()}, []
        for level in range(1, levels + 1):
            reached = [p for p in prefixes if len(p) == level and p[:-1] in beam]
            found += [p for p in reached if p in paths]
            open_ends = sorted((p for p in reached if p not in paths), key=lambda p: (-score[p], p))
            beam = set(open_ends[:width])
            alive.append(beam | set(found))
        returned = sorted(found, key=lambda p: (-score[p], p))[: min(k, width)]
        hit, top = own in returned, own in best[:k]
        names = {(1, 1): "found", (0, 1): "pruned", (1, 0): "promoted", (0, 0): "outscored"}
        out[names[hit, top]] += 1

        def kept(path, alive=alive, returned=returned):
            inside = [path[: i + 1] in alive[i] or path in alive[i] for i in range(levels - 1)]
            return [*inside, path in returned]

        lost = kept(own).index(False) if not all(kept(own)) else None
        if not hit:
            by_level["pruned" if top else "out"][lost] += 1
        for level in range(levels):
            by_level["kept_targets"][level] += kept(own)[level]
            by_level["kept_leaves"][level] += sum(kept(p)[level] for p in best[:k])
        if own in best[:width]:
            out["within"] += 1
            if own not in found:
                out["within_pruned"] += 1
                siblings = [
                    p for p in prefixes if p and p[:-1] == own[:lost] and p not in paths
                ]  # what ends an item holds no place, and is not pruned
                siblings.sort(key=lambda p: (-score[p], p))
                out["within_pruned_by_token"] += own[: lost + 1] not in siblings[:width]
    return out, {name: tuple(counts) for name, counts in by_level.items()}


@settings(max_examples=10)
@given(
    seed=st.integers(0, 2**32 - 1),
    mask=st.sampled_from(["after", "before"]),
    items=st.sampled_from(["codes", "short titles", "titles"]),
    num_values=st.sampled_from([None, None, 2]),
)
def test_every_count_equals_that_of_naive_loops(seed, mask, items, num_values):
    catalog = make_catalog(seed, titles=items != "codes")
    if items == "titles":  # with runs of forced tokens
        catalog = random_titles(seed, num_items=20)
        assume(catalog.num_leaves >= CONFIG.beam_width)
    backbone = TableBackbone(catalog.vocab_size, seed % 1000, num_values)
    windows = random_windows(20, 8, seed)
    config = CONFIG.model_copy(update={"mask": mask, "batch_size": 5})
    survival = measure_survival(backbone, windows, catalog, config)
    for counts in survival.widths:
        out, by_level = naive(backbone, windows, catalog, config, counts.width)
        found = vars(counts) | vars(counts.outcomes)
        assert {name: found[name] for name in out} == out
        assert counts.kept_targets == by_level["kept_targets"]
        assert counts.kept_leaves == by_level["kept_leaves"]
        assert counts.pruned_at == by_level["pruned"]
        assert counts.outscored_at == by_level["out"]
    assert survival.disagreeing() == []


@pytest.mark.parametrize("retired", [[], ["0", "3", "9"]])
def test_metrics_are_those_of_an_evaluation(retired):
    catalog = make_catalog(4)
    catalog = catalog.with_retired(retired) if retired else catalog
    backbone, windows = TableBackbone(catalog.vocab_size, 3), random_windows(20, 40)
    survival = measure_survival(backbone, windows, catalog, CONFIG)
    evaluation = EvaluationConfig(ks=(1, 3), beam_width=3, full_sort=True)
    expected = evaluate_windows(backbone, windows, catalog, evaluation)
    assert survival.beam.outcomes == expected.survival
    for name in ("recall@1", "ndcg@3", "recall@3_by_item", "ndcg@3_by_item"):
        assert survival.beam.mean(name) == pytest.approx(expected.summary[name])
        assert survival.exact[name] == pytest.approx(expected.summary[f"{name}_full_sort"])
    assert survival.beam.exact / 40 == pytest.approx(expected.summary["exact"])
    targets = windows.targets(torch.arange(40)).tolist()
    assert survival.unreachable == sum(str(target) in retired for target in targets)


def report(batch_size: int):
    catalog = make_catalog(1)
    config = CONFIG.model_copy(update={"batch_size": batch_size})
    backbone = TableBackbone(catalog.vocab_size, 5)
    return measure_survival(backbone, random_windows(20, 9), catalog, config)


def assert_same(found, expected):
    assert_frame_equal(found.per_user, expected.per_user)
    for ours, theirs in zip(found.widths, expected.widths, strict=True):
        assert vars(ours) | {"metrics": None} == vars(theirs) | {"metrics": None}
        assert ours.metrics == pytest.approx(theirs.metrics)
    assert found.exact == pytest.approx(expected.exact)


def test_batches_change_nothing():
    assert_same(report(2), report(9))


def together(batch_sizes: list[int]):
    torch.distributed.init_process_group("gloo")
    return [report(batch_size) for batch_size in batch_sizes]


@pytest.mark.slow
def test_two_processes_count_what_one_counts():
    batch_sizes = [3, 20]  # 3 batches; one, so that a process has none
    for reports in run_together(together, batch_sizes):
        for found, batch_size in zip(reports, batch_sizes, strict=True):
            assert_same(found, report(batch_size))
            assert found.times["exact"].users == 2


def test_some_users_are_spread_over_all():
    catalog = make_catalog(1)
    config = CONFIG.model_copy(update={"max_users": 4})
    backbone = TableBackbone(catalog.vocab_size, 5)
    told = []
    survival = measure_survival(
        backbone, random_windows(20, 10), catalog, config, lambda *step: told.append(step)
    )
    assert survival.per_user["row"].to_list() == [0, 2, 5, 7]
    assert told == [(4, 4)]


def test_nothing_to_report_on_is_refused():
    catalog = make_catalog(1)
    backbone = TableBackbone(catalog.vocab_size)
    with pytest.raises(ValueError, match="no windows to report on"):
        measure_survival(backbone, random_windows(20, 0), catalog, CONFIG)
    with pytest.raises(ValueError, match=r"items 0..19: use the catalog"):
        measure_survival(backbone, random_windows(90, 9), catalog, CONFIG)

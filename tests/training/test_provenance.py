"""Results know the code and the machine that made them."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import beamwise
from beamwise.training.provenance import (
    BUILT_FROM_FILE,
    Origin,
    built_from,
    commit,
    processor,
    provenance,
    source_version,
)


def package_in(folder: Path) -> Path:
    package = folder / "src" / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("NUMBER = 1\n")
    return package


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_every_change_of_code_is_another_source(tmp_path):
    package = package_in(tmp_path)
    versions = [source_version.__wrapped__(package)]
    (package / "__init__.py").write_text("NUMBER = 2\n")
    versions.append(source_version.__wrapped__(package))
    (package / "more.py").write_text("")
    versions.append(source_version.__wrapped__(package))
    (package / "more.py").rename(package / "other.py")
    versions.append(source_version.__wrapped__(package))
    assert len(set(versions)) == 4
    (package / "other.pyc").write_bytes(b"compiled")
    assert source_version.__wrapped__(package) == versions[-1]


def test_a_commit_is_told_only_where_it_holds_the_package(tmp_path):
    package = package_in(tmp_path)
    assert commit.__wrapped__(package) is None
    git(tmp_path, "init", "-q")
    assert commit.__wrapped__(package) is None  # a checkout around it that does not know it
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    made = git(tmp_path, "rev-parse", "--short=12", "HEAD")
    assert commit.__wrapped__(package) == made
    (package / "__init__.py").write_text("NUMBER = 2\n")
    assert commit.__wrapped__(package) == f"{made}-dirty"


def test_without_git_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit.__wrapped__(package_in(tmp_path)) is None


def test_an_installed_package_knows_the_commit_that_it_was_built_from(tmp_path):
    package = package_in(tmp_path)
    source = source_version.__wrapped__(package)
    (package / BUILT_FROM_FILE).write_text(built_from("0123456789ab", source))
    assert source_version.__wrapped__(package) == source  # the note is no source
    assert commit.__wrapped__(package) == "0123456789ab"
    (package / BUILT_FROM_FILE).write_text(built_from("0123456789ab", "of other files"))
    assert commit.__wrapped__(package) == "0123456789ab-dirty"
    (package / BUILT_FROM_FILE).write_text(built_from("0123456789ab-dirty", "of other files"))
    assert commit.__wrapped__(package) == "0123456789ab-dirty"


@pytest.mark.parametrize("text", ["{", "{}", "[]", "null"])
def test_a_damaged_note_tells_no_commit(tmp_path, text):
    package = package_in(tmp_path)
    (package / BUILT_FROM_FILE).write_text(text)
    assert commit.__wrapped__(package) is None


def test_a_checkout_knows_better_than_the_note(tmp_path):
    package = package_in(tmp_path)
    (package / BUILT_FROM_FILE).write_text(built_from("0123456789ab", "x"))
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    assert commit.__wrapped__(package) == git(tmp_path, "rev-parse", "--short=12", "HEAD")


def test_code_and_machine_are_named():
    found = provenance()
    assert (found.version, found.torch) == (beamwise.__version__, torch.__version__)
    assert (found.device, found.threads) == ("cpu", torch.get_num_threads())
    assert found.source == source_version()
    assert found.processor == processor() != ""


def test_a_gpu_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU of {device}")
    assert provenance("cuda:1").device == "GPU of cuda:1"


@pytest.mark.parametrize(
    ("text", "expected"), [("flags : x\nmodel name\t: A 9000 \n", "A 9000"), (None, None)]
)
def test_the_processor_has_the_systems_name(monkeypatch, text, expected):
    monkeypatch.setattr(Path, "is_file", lambda path: text is not None)
    monkeypatch.setattr(Path, "read_text", lambda path, encoding: text)
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "machine")
    assert processor.__wrapped__() == (expected or "machine")


def test_an_origin_keeps_every_machine_once(tmp_path):
    assert Origin.load(tmp_path) is None
    here = provenance()
    there = replace(here, processor="another")
    origin = Origin("data", (here,))
    assert origin.continued(here) is origin
    origin = origin.continued(there).continued(here)
    assert origin.made_by == (here, there)
    origin.save(tmp_path)
    assert Origin.load(tmp_path) == origin
    assert [path.name for path in tmp_path.iterdir()] == ["provenance.json"]


@pytest.mark.parametrize("text", ["{", "{}", '{"data": "x", "made_by": [{"version": "1"}]}'])
def test_a_damaged_origin_is_named(tmp_path, text):
    (tmp_path / "provenance.json").write_text(text)
    with pytest.raises(ValueError, match=r"provenance\.json is damaged: remove it"):
        Origin.load(tmp_path)

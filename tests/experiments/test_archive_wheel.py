"""The wheel of an archive is of the code that runs here."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from beamwise.experiments import archive_start
from beamwise.experiments.archive_wheel import build_wheel, check_wheel, needs_of
from beamwise.training.provenance import PACKAGE, built_from, commit, source_version

METADATA = """Metadata-Version: 2.4
Name: beamwise
Requires-Python: >=3.11
Requires-Dist: torch>=2.9
Requires-Dist: jaxtyping >=0.3.2,<1
Requires-Dist: rich
Requires-Dist: peft>=0.18; extra == "text"
Requires-Dist: transformers>=5.0; extra == 'text'
Requires-Dist: gguf; extra == "smollm2"
Requires-Dist: transformers>=99; extra == "dev"
"""


@pytest.fixture
def wheel(tmp_path):
    """Of this package's files, written by hand."""
    return stub_wheel(tmp_path)


def stub_wheel(folder: Path, change: str = "") -> Path:
    path = folder / "beamwise-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file in PACKAGE.rglob("*"):
            if file.suffix in (".py", ".yaml"):
                archive.write(file, f"beamwise/{file.relative_to(PACKAGE).as_posix()}")
        archive.writestr("beamwise-0.1.0.dist-info/METADATA", METADATA)
        if change:
            archive.writestr("beamwise/change.py", change)
    return path


def test_a_wheel_of_this_code_is_taken(wheel):
    check_wheel(wheel)


def test_a_wheel_of_other_code_is_refused(tmp_path):
    wheel = stub_wheel(tmp_path, "MORE = 1\n")
    with pytest.raises(ValueError, match=f"here runs {source_version()}: build it from the source"):
        check_wheel(wheel)


def test_what_is_no_wheel_is_refused(tmp_path):
    (tmp_path / "x.whl").write_text("x")
    for path in (tmp_path / "x.whl", tmp_path / "absent.whl"):
        with pytest.raises(ValueError, match="is not readable as a wheel"):
            check_wheel(path)


def test_needs_are_those_of_the_package_alone(wheel):
    needs = needs_of(wheel, {})
    assert needs.python == "3.11"
    assert needs.packages == {"torch": "2.9", "jaxtyping": "0.3.2", "rich": "0"}
    assert needs.extras == {}


def test_of_extras_only_what_is_asked_for_is_needed(wheel):
    assert needs_of(wheel, {"text": ["transformers"]}).extras == {
        "'beamwise[text]'": {"transformers": "5.0"}
    }
    needs = needs_of(wheel, {"smollm2": ["gguf"], "text": ["peft", "transformers"]})
    assert needs.packages.keys() == {"torch", "jaxtyping", "rich"}
    assert needs.extras == {
        "'beamwise[text]'": {"peft": "0.18", "transformers": "5.0"},
        "'beamwise[smollm2]'": {"gguf": "0"},
    }


def test_an_installed_package_cannot_be_built(tmp_path):
    package = tmp_path / "site-packages" / "beamwise"
    for described in (None, "[project]\nname = 'other'\n", "[broken"):
        if described is not None:
            (tmp_path / "pyproject.toml").write_text(described)
        with pytest.raises(ValueError, match=r"installed without its source, .* give it"):
            build_wheel(tmp_path, package)


def test_what_pip_says_is_passed_on(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'beamwise'\n")
    (tmp_path / "src" / "beamwise").mkdir(parents=True)
    failed = subprocess.CompletedProcess([], 1, "", "first\nno setuptools\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **options: failed)
    with pytest.raises(ValueError, match=r"pip could not build .* \(no setuptools\): install"):
        build_wheel(tmp_path, tmp_path / "src" / "beamwise")


@pytest.mark.slow
def test_a_built_wheel_runs_as_the_source_does(tmp_path):
    """Built and installed without network, it knows the commit that it is of."""
    tree = Path(PACKAGE).parents[1]
    before = {*tree.iterdir(), *PACKAGE.parent.iterdir()}
    (tmp_path / "wheels").mkdir()
    wheel = build_wheel(tmp_path / "wheels")
    assert {*tree.iterdir(), *PACKAGE.parent.iterdir()} == before
    check_wheel(wheel)
    needs = needs_of(wheel, {"text": ["transformers", "peft"], "smollm2": ["gguf"]})
    assert set(needs.packages) >= {"torch", "polars", "cyclopts"}
    assert [set(each) for each in needs.extras.values()] == [{"transformers", "peft"}, {"gguf"}]
    note = built_from("0123456789ab", source_version())
    manifest = {"files": {f"wheels/{wheel.name}": {"sha256": "1"}}, "built_from": note}
    packages = archive_start.install(tmp_path, manifest)
    assert not list(tmp_path.glob(".*"))
    installed = packages / "beamwise"
    assert source_version.__wrapped__(installed) == source_version()
    assert commit.__wrapped__(installed) == "0123456789ab"
    assert not list(installed.rglob("*.pyc"))

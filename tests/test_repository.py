"""Rules about the repository's files that no other tool checks."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import beamwise

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "beamwise"
MODULES = sorted(path for path in SOURCE.rglob("*.py") if not path.name.startswith("_"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

MACHINE_PATH = re.compile(r"(?<![\w./~-])/(?:work|tmp|root|home|Users)/")
ABSENT_DOCUMENT = re.compile(r"\b(?:DESIG[N]|STYL[E]|NOTE[S])\b|\bshared/(?!data\b)")
MAX_LINES = 400
MIRRORS_NO_MODULE = {
    Path("test_repository.py"),
    Path("test_benchmarks.py"),
    Path("test_published_configs.py"),
    Path("test_exact_benchmarks.py"),
    Path("test_title_benchmarks.py"),
    Path("decoding/test_against_transformers.py"),
    Path("decoding/test_beam_search_widths.py"),
    Path("decoding/test_titles.py"),
    Path("evaluation/test_titles.py"),
    Path("training/test_title_references.py"),
}


def tracked_files() -> list[Path]:
    """The repository's files as git sees them, new ones included and ignored ones left out."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs a git checkout: {error}")
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def tracked_texts() -> dict[str, str]:
    """The tracked files that are text, by their path in the repository."""
    contents = {str(path.relative_to(ROOT)): path.read_bytes() for path in tracked_files()}
    return {name: data.decode() for name, data in contents.items() if b"\0" not in data}


def places(pattern: re.Pattern[str], texts: dict[str, str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def has_behaviour(path: Path) -> bool:
    """Whether any function of a module does something; declarations alone need no test."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, functions)]
    return any(
        not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for body in bodies
        for statement in body
    )


def pins() -> dict[str, str]:
    """The version that constraints.txt gives each package."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    return dict(line.split("==") for line in pinned)


def declared() -> list[Requirement]:
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    return [Requirement(text) for group in groups for text in group]


def needed(requirements: list[Requirement]) -> set[str]:
    """Names of the installed packages that these requirements lead to, their own included."""
    found: set[tuple[str, str]] = set()
    pending = [(r.name, extra) for r in requirements for extra in ("", *r.extras)]
    while pending:
        name, extra = pending.pop()
        if (name, extra) in found:
            continue
        try:
            below = [Requirement(text) for text in requires(name) or []]
        except PackageNotFoundError:
            continue
        found.add((name, extra))
        for r in below:
            if r.marker is None or r.marker.evaluate({"extra": extra}):
                pending.extend((r.name, wanted) for wanted in ("", *r.extras))
    return {canonicalize_name(name) for name, _ in found}


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports when it is itself imported."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


def test_every_module_has_its_test_file():
    tested = [path.relative_to(SOURCE) for path in MODULES if has_behaviour(path)]
    mirrors = [Path("tests") / path.parent / f"test_{path.name}" for path in tested]
    assert [str(path) for path in mirrors if not (ROOT / path).is_file()] == []


def test_every_test_file_has_its_module():
    """A test that mirrors nothing is left over from a module that moved."""
    tests = {path.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    apart = {path for path in tests if path.parts[0] == "end_to_end"} | MIRRORS_NO_MODULE
    names = {p: p.name.removeprefix("test_").replace("registry.py", "__init__.py") for p in tests}
    stray = [str(p) for p in tests - apart if not (SOURCE / p.parent / names[p]).is_file()]
    assert sorted(stray) == []


def test_no_machine_paths():
    assert places(MACHINE_PATH, tracked_texts()) == []


def test_no_reference_to_documents_that_readers_do_not_have():
    assert places(ABSENT_DOCUMENT, tracked_texts()) == []


def test_files_are_short_enough_to_read():
    code = {name: text for name, text in tracked_texts().items() if name.endswith(".py")}
    lengths = {name: len(text.splitlines()) for name, text in code.items()}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_every_declared_dependency_is_pinned_to_a_version_it_allows():
    pinned = pins()
    for requirement in declared():
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(version), f"{requirement} excludes {version}"


def test_the_core_dependencies_are_all_that_importing_needs():
    """An extra may be imported inside a function, or by the test support."""
    owners = packages_distributions()
    core = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    modules = [path for path in SOURCE.rglob("*.py") if SOURCE / "testing" not in path.parents]
    known = sys.stdlib_module_names | {"beamwise"}
    outside = {
        f"{path.relative_to(SOURCE)} imports {name}"
        for path in modules
        for name in imported(path) - known
        if not core & {canonicalize_name(owner) for owner in owners.get(name, ())}
    }
    assert outside == set()


def test_all_that_the_installation_brings_is_pinned():
    assert needed(declared()) - set(pins()) == set()


def test_pins_are_public_versions_under_canonical_names():
    pinned = pins()
    assert [name for name in pinned if name != canonicalize_name(name)] == []
    assert [v for v in pinned.values() if Version(v).local is not None] == []
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()


def test_package_and_metadata_agree_on_the_version():
    assert beamwise.__version__ == PROJECT["version"]


def test_changelog_has_an_unreleased_section():
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_contributing_names_only_files_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:src|tests|configs|docs|examples|\.ci)/[\w./-]+)`", text)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_training_loop_stays_short():
    loop = (SOURCE / "training" / "loop.py").read_text(encoding="utf-8")
    assert len(loop.splitlines()) < 150


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_links_lead_to_files(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []

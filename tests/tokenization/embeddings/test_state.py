"""What a fitted embedding keeps: read back equal, or refused in one line."""

import numpy as np
import pytest

from beamwise.tokenization.embeddings import TfidfSvdConfig
from beamwise.tokenization.embeddings.state import load_state, save_state

CONFIG = TfidfSvdConfig(dim=2)


def save(folder):
    save_state(folder, CONFIG, {"terms": ["Ü", "蓝"]}, {"idf": np.array([1.0, 2.5])})


def test_round_trip(tmp_path):
    save(tmp_path / "new" / "folder")
    facts, arrays = load_state(tmp_path / "new" / "folder", CONFIG)
    assert facts == {"terms": ["Ü", "蓝"]}
    assert arrays["idf"].dtype == np.float64
    np.testing.assert_array_equal(arrays["idf"], [1.0, 2.5])


def test_other_settings_are_refused_but_not_those_that_are_free_later(tmp_path):
    save(tmp_path)
    load_state(tmp_path, CONFIG.model_copy(update={"missing": "blank"}))
    with pytest.raises(ValueError, match=r"fitted with embedding\.dim=2, not 3: use the settings"):
        load_state(tmp_path, TfidfSvdConfig(dim=3))


@pytest.mark.parametrize("name", ["embedding.json", "embedding.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]", b"{}", b"\xff\xfe", b"\0" * 100])
def test_damage_gets_one_line(tmp_path, name, content):
    save(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"missing or damaged \(.*\): tokenize again") as caught:
        load_state(tmp_path, CONFIG)
    assert "\n" not in str(caught.value)

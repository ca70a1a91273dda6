"""What all embeddings share."""

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from beamwise.tokenization.embeddings import TfidfSvdConfig
from beamwise.tokenization.embeddings.base import rows_of, unit_rows


def test_unit_rows():
    rows = unit_rows(np.array([[3, 4], [0, 0], [0, -2]], dtype=np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0], [0, -1]], rtol=1e-6)


def test_texts_follow_the_settings():
    items = pl.DataFrame({"item_id": ["a", "b"], "title": ["Pen", None], "brand": ["Norvik", None]})
    config = TfidfSvdConfig(columns=("brand",), missing="blank", max_chars=2)
    assert config.texts(items).to_list() == ["No", ""]


def test_texts_are_the_same_wherever_the_dataset_lies(tmp_path):
    config = TfidfSvdConfig(dim=3)
    assert config.at(tmp_path) is config


def test_no_columns_at_all_are_refused():
    with pytest.raises(ValidationError, match="columns"):
        TfidfSvdConfig(columns=())


def test_rows_follow_the_items_asked_for():
    items = pl.DataFrame({"item_id": ["c", "a", "x", "a"]})
    assert rows_of(pl.Series(["a", "b", "c"]), items).to_list() == [2, 0, None, 0]

"""Which tokenizer a folder keeps."""

import pytest

from beamwise.config import ConfigError
from beamwise.tokenization import TitlesConfig, tokenize
from beamwise.tokenization.fitted import fitted_config, has_titles, load_fitted
from beamwise.tokenization.item_tokenizer import ItemTokenizer, QuantizedConfig
from beamwise.tokenization.title_tokenizer import TitleTokenizer


def test_each_kind_is_read_by_its_name(prepare, small):
    codes, titles = prepare("codes"), prepare("titles")
    tokenize(codes, small)
    tokenize(titles, TitlesConfig(vocab_size=300))
    assert isinstance(fitted_config(codes / "tokenizer"), QuantizedConfig)
    assert isinstance(load_fitted(codes / "tokenizer"), ItemTokenizer)
    assert fitted_config(titles / "tokenizer") == TitlesConfig(vocab_size=300)
    assert isinstance(load_fitted(titles / "tokenizer"), TitleTokenizer)
    assert has_titles(titles / "tokenizer")
    assert not has_titles(codes / "tokenizer")
    blank = load_fitted(codes / "tokenizer", ["embedding.missing=blank"])
    assert blank.config.embedding.missing == "blank"


def test_there_may_be_none(tmp_path):
    assert fitted_config(tmp_path) is None
    assert not has_titles(tmp_path)
    with pytest.raises(ValueError, match="no fitted tokenizer at"):
        load_fitted(tmp_path)


@pytest.mark.parametrize("content", [b"name: other", b"- 1", b"a: [", b"\xff", b"name: {a: 1}"])
def test_damaged_settings_are_one_line(tmp_path, content):
    (tmp_path / "config.yaml").write_bytes(content)
    for read in (fitted_config, load_fitted):
        with pytest.raises(ConfigError) as caught:
            read(tmp_path)
        assert "\n" not in str(caught.value)

"""Byte pairs: any text is written and read back, equal texts give equal tokenizers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.tokenization.byte_pairs import SMALLEST, learn_byte_pairs

TEXTS = ['"blue lamp"', '"blue lamps"', '"red lamp"'] * 3


@pytest.fixture(scope="module")
def learned():
    return learn_byte_pairs(TEXTS, 300)


def test_frequent_pairs_become_tokens(learned):
    assert SMALLEST < len(learned) <= 300
    words = learned.convert_ids_to_tokens(
        learned('"blue lamp"', add_special_tokens=False)["input_ids"]
    )
    assert words == ['"', "blue", "Ġlamp", '"']  # Ġ stands for a blank before a word


def test_special_tokens(learned):
    assert (learned.bos_token_id, learned.eos_token_id, learned.pad_token_id) == (0, 1, 2)
    assert learned("lamp")["input_ids"][0] == 0
    assert learned("lamp", add_special_tokens=False)["input_ids"][0] != 0


@given(text=st.text(max_size=30).filter(lambda text: "<|" not in text))
def test_any_text_comes_back(learned, text):
    tokens = learned(text, add_special_tokens=False)["input_ids"]
    assert learned.decode(tokens, clean_up_tokenization_spaces=False) == text
    assert all(0 <= token < len(learned) for token in tokens)


def test_equal_texts_give_an_equal_tokenizer(learned):
    again = learn_byte_pairs(TEXTS, 300)
    assert again.backend_tokenizer.to_str() == learned.backend_tokenizer.to_str()


def test_a_vocabulary_too_small_for_all_bytes_is_refused():
    assert len(learn_byte_pairs(TEXTS, SMALLEST)) == SMALLEST == 259
    with pytest.raises(ValueError, match=r"vocab_size must be >= 259 .*, got 258"):
        learn_byte_pairs(TEXTS, 258)

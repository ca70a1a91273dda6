"""Titles and their tokens: round trips, what is refused, and items that come later."""

import sys

import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from beamwise.catalog import Catalog
from beamwise.tokenization.byte_pairs import learn_byte_pairs
from beamwise.tokenization.title_tokenizer import (
    TitlesConfig,
    TitleTokenizer,
    open_text_tokenizer,
)

from .conftest import items_of

TITLES = ["blue lamp", "blue lamps", "Pens &amp; ink ", "blue lamp", " a  b", "naïve 灯"]
IDS = pl.Series("item_id", [f"i{row}" for row in range(len(TITLES))])


def learned(titles=TITLES, answer='"{title}"') -> TitleTokenizer:
    config = TitlesConfig(answer=answer)
    texts = [answer.replace("{title}", title) for title in titles]
    return TitleTokenizer(config, learn_byte_pairs(texts, 300))


@pytest.fixture(scope="module")
def tokenizer() -> TitleTokenizer:
    return learned()


def words(*vocabulary: str, end: str | None = "<end>", lower: bool = False):
    """A tokenizer of whole words; others are unknown to it."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    numbers = {word: number for number, word in enumerate(["<unk>", "<end>", *vocabulary])}
    built = Tokenizer(models.WordLevel(numbers, unk_token="<unk>"))
    built.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if lower:
        built.normalizer = normalizers.Lowercase()
    return PreTrainedTokenizerFast(tokenizer_object=built, unk_token="<unk>", eos_token=end)


def pieces(kind: str, *merged: str):
    """Characters and a few longer pieces, in the ways in which SentencePiece marks a text's start.

    As the Llama 2 tokenizer, by a normalizer; else by a pre-tokenizer; other characters are bytes.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    characters = sorted(set("▁" + "".join(TITLES[:4]) + '"'))
    vocabulary = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *characters]
    merges = [(piece[:-1], piece[-1]) for piece in merged]
    numbers = {piece: number for number, piece in enumerate([*vocabulary, *merged])}
    built = Tokenizer(models.BPE(numbers, merges, unk_token="<unk>", byte_fallback=True))
    spaces = [decoders.ByteFallback(), decoders.Fuse()]
    if kind == "normalizer":
        built.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
        spaces = [decoders.Replace("▁", " "), *spaces, decoders.Strip(" ", 1, 0)]
    else:
        built.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=kind)
        spaces = [decoders.Metaspace(prepend_scheme=kind), *spaces]
    built.decoder = decoders.Sequence(spaces)
    built.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=built, bos_token="<s>", eos_token="</s>")


@pytest.mark.parametrize("kind", ["normalizer", "first", "always"])
@pytest.mark.parametrize("answer", ['"{title}"', "{title}", " {title}"])
def test_an_answer_goes_on_from_its_prompt_where_a_text_begins_with_a_mark(kind, answer):
    tokenizer = TitleTokenizer(TitlesConfig(answer=answer), pieces(kind, "▁b", '▁"', "la"))
    titles = ["blue lamp", "blue lamps", "Pens &amp; ink ", " a  b", "naïve 灯"]
    catalog = tokenizer.catalog_of(IDS[: len(titles)], pl.Series(titles))
    assert tokenizer.titles_of(catalog) == titles
    (prompt,) = tokenizer.encode_prompts(['"blue lamp"\nNext:\n'])
    for title, tokens in zip(titles, tokenizer.encode_answers(titles), strict=True):
        whole = '"blue lamp"\nNext:\n' + answer.replace("{title}", title)
        assert prompt + tokens == tokenizer.text(whole)["input_ids"]


def test_tokens_of_a_mark_and_of_a_line_before_an_answer_are_refused():
    marked = pieces("normalizer")
    tokenizer = TitleTokenizer(TitlesConfig(), marked)
    paths = marked(['"blue"', '"red"'], add_special_tokens=False)["input_ids"]
    rows = [path + [0] * (9 - len(path)) for path in paths]
    earlier = Catalog.from_tokens(rows, [len(path) for path in paths], None, 2, len(marked))
    with pytest.raises(ValueError, match=r"""reads ' "red"', which is no answer of the form"""):
        tokenizer.titles_of(earlier)
    joining = TitleTokenizer(TitlesConfig(), joined_lines())
    with pytest.raises(ValueError, match="joins the beginning of an answer to the line before it"):
        joining.encode_answers(["blue"])


def joined_lines():
    """A tokenizer in which a line's end and a quote after it are one token."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    vocabulary = ["<unk>", "</s>", "\n", '"', "b", "l", "u", "e", "a", '\n"']
    numbers = {piece: number for number, piece in enumerate(vocabulary)}
    built = Tokenizer(models.BPE(numbers, [("\n", '"')], unk_token="<unk>"))
    return PreTrainedTokenizerFast(tokenizer_object=built, unk_token="<unk>", eos_token="</s>")


def test_titles_come_back_from_the_catalog(tokenizer):
    catalog = tokenizer.catalog_of(IDS, pl.Series(TITLES))
    assert tokenizer.titles_of(catalog) == TITLES
    assert (catalog.num_items, catalog.num_leaves) == (6, 5)  # one title stands twice
    assert (catalog.vocab_size, catalog.end_token) == (tokenizer.vocab_size, tokenizer.end_token)
    closing = catalog.leaf_tokens.gather(1, (catalog.leaf_tokens >= 0).sum(1, keepdim=True) - 1)
    assert (closing == tokenizer.end_token).all()


def test_answers_are_quoted_titles_without_special_tokens(tokenizer):
    (answer,) = tokenizer.encode_answers(["blue lamp"])
    assert tokenizer.text.decode(answer) == '"blue lamp"'
    assert not set(answer) & set(tokenizer.text.all_special_ids)
    assert tokenizer.encode_answers([]) == tokenizer.encode_prompts([]) == []


def test_what_is_no_answer_is_decoded_whole(tokenizer):
    tokens = tokenizer.text(['"', '"a', "a"], add_special_tokens=False)["input_ids"]
    assert tokenizer.decode_answers(tokens) == ['"', '"a', "a"]


@given(title=st.text(min_size=1, max_size=20).filter(lambda title: "<|" not in title))
def test_any_title_comes_back(tokenizer, title):
    assert tokenizer.decode_answers(tokenizer.encode_answers([title])) == [title]


def test_a_title_may_be_the_beginning_of_another():
    tokenizer = learned(answer="{title}")
    catalog = tokenizer.catalog_of(pl.Series(["a", "b"]), pl.Series(["blue", "blue lamp"]))
    assert catalog.num_leaves == 2
    assert tokenizer.titles_of(catalog) == ["blue", "blue lamp"]
    shorter, longer = catalog.leaf_tokens[catalog.leaf_of_item.long()].tolist()
    length = shorter.index(tokenizer.end_token)
    assert shorter[:length] == longer[:length]


def test_prompts_begin_as_the_tokenizer_has_it_and_do_not_end(tokenizer):
    assert tokenizer.encode_prompts(["a", ""]) == [
        [0, *tokenizer.text("a", add_special_tokens=False)["input_ids"]],
        [0],
    ]
    from tokenizers import processors

    closing = TitleTokenizer(TitlesConfig(), words("a", "b"))
    closing.text.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <end>", special_tokens=[("<end>", 1)]
    )
    assert closing.text("a b")["input_ids"] == [2, 3, 1]
    assert closing.encode_prompts(["a b"]) == [[2, 3]]


def test_saved_and_loaded(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer")
    loaded = TitleTokenizer.load(tmp_path / "tokenizer")
    assert loaded.config == tokenizer.config
    assert loaded.encode_answers(TITLES) == tokenizer.encode_answers(TITLES)
    assert loaded.encode_prompts(TITLES) == tokenizer.encode_prompts(TITLES)
    assert loaded.vocab_size == tokenizer.vocab_size
    with pytest.raises(ValueError, match=r"no setting that may change .*: leave 'model=x' out"):
        TitleTokenizer.load(tmp_path / "tokenizer", ["model=x"])
    (tmp_path / "tokenizer" / "text" / "tokenizer.json").write_text("{")
    with pytest.raises(ValueError, match="holds no tokenizer that can be loaded") as caught:
        TitleTokenizer.load(tmp_path / "tokenizer")
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"no tokenizer of titles at .*--method titles"):
        TitleTokenizer.load(tmp_path)


@pytest.mark.parametrize("title", [None, "", "  "])
def test_an_item_without_a_title_is_named(tokenizer, title):
    with pytest.raises(ValueError, match=r"item 'i1' has no title \(1 of 2 items\): give it one"):
        tokenizer.catalog_of(IDS[:2], pl.Series(["lamp", title], dtype=pl.String))


def test_a_title_that_does_not_come_back_is_refused():
    lossy = TitleTokenizer(TitlesConfig(answer="{title}"), words("blue", "lamp", lower=True))
    catalog = lossy.catalog_of(pl.Series(["a"]), pl.Series(["blue lamp"]))
    assert lossy.titles_of(catalog) == ["blue lamp"]
    message = r"the title 'Blue lamp' of item 'b' comes back .* 'tiny' as 'blue lamp': correct"
    with pytest.raises(ValueError, match=message):
        lossy.catalog_of(pl.Series(["a", "b"]), pl.Series(["blue lamp", "Blue lamp"]))
    with pytest.raises(ValueError, match=r"as 'blue <unk>'"):
        lossy.catalog_of(pl.Series(["a"]), pl.Series(["blue desk"]))


def test_an_end_token_within_a_title_is_refused(tokenizer):
    message = r"the title 'a <\|end\|> b' of item 'i0' holds the end token '<\|end\|>'"
    with pytest.raises(ValueError, match=message):
        tokenizer.catalog_of(IDS[:1], pl.Series(["a <|end|> b"]))


def test_a_tokenizer_without_an_end_token_is_refused():
    with pytest.raises(ValueError, match="the tokenizer of model 'tiny' has no end token"):
        TitleTokenizer(TitlesConfig(), words("a", end=None))


@pytest.mark.parametrize("answer", ["no title", "{title}{title}"])
def test_a_template_has_one_title(answer):
    with pytest.raises(ValueError, match=r"an answer has \{title\} in it, once"):
        TitlesConfig(answer=answer)


def test_later_items_are_coded_and_known_ones_keep_their_tokens(tokenizer):
    known = tokenizer.catalog_of(IDS, pl.Series(TITLES)).with_retired(["i1"])
    items = items_of({"n": "a very much longer title", "i1": "renamed", "i0": "blue lamp"})
    extended = tokenizer.extend(known, items)
    assert tokenizer.titles_of(extended) == ["a very much longer title", "blue lamps", "blue lamp"]
    assert extended.vocab_size == known.vocab_size
    assert extended.retired_ids.to_list() == ["i1"]
    for item in ("i0", "i1"):
        old, new = (
            catalog.leaf_tokens[catalog.leaf_of_item[catalog.indices_of([item])].long()][0]
            for catalog in (known, extended)
        )
        assert torch.equal(old[old >= 0], new[new >= 0])
    with pytest.raises(ValueError, match="item 'n' has no title"):
        tokenizer.extend(known, items_of({"i0": "blue lamp", "n": None}))
    same = tokenizer.extend(known, items_of({"i2": "x"}))
    assert tokenizer.titles_of(same) == [TITLES[2]]


def test_opening(tmp_path):
    words("a", "b").save_pretrained(tmp_path / "good")
    assert len(open_text_tokenizer(tmp_path / "good")) == 4
    with pytest.raises(ValueError, match="holds no tokenizer that can be loaded") as caught:
        open_text_tokenizer(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_missing_extra_is_one_line(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ValueError, match=r"need transformers: pip install 'beamwise\[text\]'"):
        open_text_tokenizer(tmp_path)
    with pytest.raises(ValueError, match=r"need transformers: pip install 'beamwise\[text\]'"):
        learn_byte_pairs(TITLES, 300)

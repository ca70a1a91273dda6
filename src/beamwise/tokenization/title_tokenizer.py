"""The text tokenizer of a title catalog: titles and prompts to tokens, and tokens to titles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import PositiveInt, field_validator

from beamwise._language_models import TINY, quiet_transformers, unreadable_model
from beamwise.catalog import Catalog
from beamwise.config import Config, read_config, write_config

CONFIG_FILE, TEXT_FOLDER = "config.yaml", "text"
"""In the tokenizer's folder: its settings, and the Hugging Face tokenizer."""
TITLE = "{title}"
"""In the template of an answer, where the title goes."""
BEFORE_ANSWERS = "\n"
"""What stands before an answer where its tokens depend on that: prompts end with it as a rule."""
TITLES_NEED = "titles as items need transformers: pip install 'beamwise[text]'"
MOST_SHOWN = 100
"""Characters of a title that a message repeats."""


class TitlesConfig(Config):
    """Items are their titles, in the tokens of a language model."""

    name: Literal["titles"] = "titles"
    model: str = TINY
    """Whose tokens: `tiny` (byte pairs learned from these titles), `smollm2` (SmolLM2-135M from a
    package), a folder with a Hugging Face tokenizer, or a name on the hub."""
    vocab_size: PositiveInt = 4096
    """Tokens of `tiny` at most, 259 or more; other models have their own."""
    answer: str = f'"{TITLE}"'
    """What the model writes for an item, before the end token."""

    @field_validator("answer")
    @classmethod
    def _has_one_title(cls, answer: str) -> str:
        if answer.count(TITLE) != 1:
            raise ValueError(f"an answer has {TITLE} in it, once")
        return answer


@dataclass(frozen=True, eq=False)
class TitleTokenizer:
    """A language model's tokenizer, and how an item's title stands in an answer.

    Raises:
        ValueError: If the tokenizer has no end token.
    """

    config: TitlesConfig
    text: Any
    """A fast tokenizer of `transformers`."""

    def __post_init__(self) -> None:
        if self.text.eos_token_id is None:
            raise ValueError(
                f"the tokenizer of model {self.config.model!r} has no end token, which closes "
                "every title: set its eos_token, or take another model"
            )

    @classmethod
    def load(cls, folder: Path, overrides: Sequence[str] = ()) -> TitleTokenizer:
        """Read what `save` wrote.

        Args:
            folder: Named `tokenizer`, of a dataset or a run.
            overrides: Must be empty: every setting decides what titles' tokens are.

        Raises:
            ValueError: One line, if there is no tokenizer of titles, a file is damaged,
                transformers is not installed, or a setting is given.
        """
        path = folder / CONFIG_FILE
        if not path.is_file() or not (folder / TEXT_FOLDER).is_dir():
            raise ValueError(
                f"no tokenizer of titles at {folder}: make one with "
                "`beamwise tokenize DATA --method titles`"
            )
        if overrides:
            raise ValueError(
                f"titles have no setting that may change for later items: leave {overrides[0]!r} "
                "out, or tokenize all items again"
            )
        return cls(read_config(TitlesConfig, path), open_text_tokenizer(folder / TEXT_FOLDER))

    def save(self, folder: Path) -> None:
        """Write settings and text tokenizer into `folder`, made if absent."""
        folder.mkdir(parents=True, exist_ok=True)
        write_config(self.config, folder / CONFIG_FILE)
        self.text.save_pretrained(folder / TEXT_FOLDER)

    @property
    def end_token(self) -> int:
        """The token that closes every title."""
        return self.text.eos_token_id

    @property
    def vocab_size(self) -> int:
        """Tokens that a model needs, added and special ones included."""
        return len(self.text)

    def encode_answers(self, titles: Sequence[str]) -> list[list[int]]:
        """The tokens of each title's answer, without the end token or any other special one.

        They are those of an answer that follows a prompt. A tokenizer of SentencePiece's kind puts
        a `▁` where a text begins, which an answer therefore has not.

        Raises:
            ValueError: If an answer's beginning shares a token with what stands before it.
        """
        if not titles:
            return []
        before, tokens = self._before
        answers = [before + self.config.answer.replace(TITLE, title) for title in titles]
        rows = self._tokens_of(answers)
        for title, row in zip(titles, rows, strict=True):
            if row[: len(tokens)] != tokens:
                raise ValueError(
                    f"the tokenizer of model {self.config.model!r} joins the beginning of an "
                    f"answer to the line before it, as with title {_shown(title)}: begin the "
                    "setting answer with another character, or take another model"
                )
        return [row[len(tokens) :] for row in rows]

    def decode_answers(self, tokens: Iterable[Sequence[int]]) -> list[str]:
        """The titles of answers; of what is no answer, the whole text.

        Args:
            tokens: Of each answer, without the end token.
        """
        texts = (self._text_of(row) for row in tokens)
        return [text if (title := self._title_in(text)) is None else title for text in texts]

    def titles_of(self, catalog: Catalog) -> list[str]:
        """The title of every item, by item index, from its tokens alone.

        Raises:
            ValueError: If an item's tokens are no answer.
        """
        paths = catalog.leaf_tokens.cpu().numpy()
        lengths = (paths >= 0).sum(axis=1) - 1  # the end token is the last
        titles: list[str] = []
        for path, length in zip(paths, lengths, strict=True):
            text = self._text_of(path[:length].tolist())
            title = self._title_in(text)
            if title is None:
                raise ValueError(
                    f"an item of the catalog reads {_shown(text)}, which is no answer of the form "
                    f"{self.config.answer!r}: tokenize the data again"
                )
            titles.append(title)
        return [titles[leaf] for leaf in catalog.leaf_of_item.tolist()]

    @cached_property
    def _before(self) -> tuple[str, list[int]]:
        """Text before an answer, and its tokens; none where an answer is read and written alone."""
        answer = self.config.answer.replace(TITLE, "a")
        before, alone, both = self._tokens_of([BEFORE_ANSWERS, answer, BEFORE_ANSWERS + answer])
        is_needed = both != before + alone or self._decoded(alone) != answer
        return (BEFORE_ANSWERS, before) if is_needed else ("", [])

    def _tokens_of(self, texts: Sequence[str]) -> list[list[int]]:
        return self.text(list(texts), add_special_tokens=False)["input_ids"]

    def _text_of(self, tokens: Sequence[int]) -> str:
        """The text of an answer's tokens, as it follows a prompt."""
        before = self._before[1]
        whole = self._decoded([*before, *tokens])
        return whole[len(self._decoded(before)) :] if before else whole

    def _decoded(self, tokens: list[int]) -> str:
        return self.text.decode(
            tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )

    def _title_in(self, text: str) -> str | None:
        """The title of an answer; None where the text is none."""
        before, after = self.config.answer.split(TITLE)
        is_answer = text.startswith(before) and text.endswith(after)
        if not is_answer or len(text) < len(before) + len(after):
            return None
        return text[len(before) : len(text) - len(after)]

    def encode_prompts(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of texts that an answer follows.

        A token that the tokenizer itself puts before a text is there; an end token after it is not.
        """
        if not texts:
            return []
        rows = self.text(list(texts))["input_ids"]
        return [row[:-1] if row and row[-1] == self.end_token else row for row in rows]

    def catalog_of(self, item_ids: pl.Series, titles: pl.Series) -> Catalog:
        """The catalog of items whose tokens are their titles; items of one title share a leaf.

        Args:
            item_ids: In the order of their indices.
            titles: Theirs.

        Raises:
            ValueError: If an item has no title, or one that does not come back from its tokens as
                it was, or that holds the end token; the first is named.
        """
        return self._catalog(item_ids, self._checked_answers(item_ids, titles))

    def extend(
        self,
        catalog: Catalog,
        items: pl.DataFrame,
        progress: Callable[[str, int, int], None] | None = None,  # noqa: ARG002
    ) -> Catalog:
        """A catalog of `items` in which those of `catalog` keep their tokens.

        Args:
            catalog: Made by this tokenizer; an item retired in it stays retired.
            items: item_id and title, in the order of the new catalog's item indices.
            progress: Not told of anything, since titles are coded at once.

        Raises:
            ValueError: As `catalog_of`, of an item that is new.
        """
        is_known = items["item_id"].is_in(catalog.item_ids.implode())
        new_items = items.filter(~is_known)
        coded = iter(self._checked_answers(new_items["item_id"], new_items["title"]))
        known_ids = items["item_id"].filter(is_known)
        leaves = catalog.leaf_of_item[catalog.indices_of(known_ids)].long()
        kept = (row[row >= 0][:-1].tolist() for row in catalog.leaf_tokens[leaves].cpu().numpy())
        answers = [next(kept) if known else next(coded) for known in is_known]
        extended = self._catalog(items["item_id"], answers)
        retired = catalog.retired_ids
        return extended.with_retired(retired.filter(retired.is_in(known_ids.implode())))

    def _catalog(self, item_ids: pl.Series, answers: list[list[int]]) -> Catalog:
        lengths = np.array([len(answer) for answer in answers])
        tokens = np.zeros((len(answers), int(lengths.max())), dtype=np.int64)
        tokens[np.arange(tokens.shape[1]) < lengths[:, None]] = np.concatenate(answers)
        return Catalog.from_tokens(tokens, lengths, item_ids, self.end_token, self.vocab_size)

    def _checked_answers(self, item_ids: pl.Series, titles: pl.Series) -> list[list[int]]:
        """The answers, after a check that each is exactly its title and does not end within."""
        blank = titles.is_null() | (titles.str.strip_chars() == "")
        if blank.any():
            raise ValueError(
                f"item {item_ids[blank.arg_max() or 0]!r} has no title ({int(blank.sum()):,} of "
                f"{len(item_ids):,} items): give it one, or drop the item"
            )
        answers = self.encode_answers(titles.to_list())
        back = self.decode_answers(answers)
        for item, title, answer, found in zip(item_ids, titles, answers, back, strict=True):
            if self.end_token in answer:
                raise ValueError(
                    f"the title {_shown(title)} of item {item!r} holds the end token "
                    f"{self.text.eos_token!r} of model {self.config.model!r}: correct the title, "
                    "or take another model"
                )
            if found != title:
                raise ValueError(
                    f"the title {_shown(title)} of item {item!r} comes back from the tokens of "
                    f"model {self.config.model!r} as {_shown(found)}: correct the title, or take a "
                    f"model whose tokenizer keeps all text, as {TINY}"
                )
        return answers


def open_text_tokenizer(model: Path | str) -> Any:
    """A fast tokenizer of `transformers`.

    Args:
        model: A folder, or a name on the hub.

    Raises:
        ValueError: One line, if transformers is not installed, or there is no such tokenizer.
    """
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise ValueError(TITLES_NEED) from None
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
    except Exception as error:  # a damaged folder fails in as many ways as there are formats
        raise unreadable_model(str(model), "tokenizer", error) from None
    if not tokenizer.is_fast:
        reason = ValueError("it is none of the fast ones, which a tokenizer.json describes")
        raise unreadable_model(str(model), "tokenizer", reason)
    if len(tokenizer.get_vocab().keys() - set(tokenizer.all_special_tokens)) < 2:
        reason = ValueError("it has no vocabulary")  # transformers makes one where files lack
        raise unreadable_model(str(model), "tokenizer", reason)
    return tokenizer


def _shown(title: str) -> str:
    text = repr(title)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."

"""Prefixes of titles as people read them."""

from __future__ import annotations

from beamwise.catalog import Catalog
from beamwise.data.dataset import TOKENIZER_FOLDER
from beamwise.tokenization.title_tokenizer import TEXT_FOLDER, TITLE, TitleTokenizer
from beamwise.training.run import Run

MORE = "…"
"""After a text that goes on in several ways."""
BROKEN = "\N{REPLACEMENT CHARACTER}"
"""Stands for a part of a character, whose rest is another token."""


class PrefixTexts:
    """Tells the text of a prefix, the forced tokens that follow it included."""

    def __init__(self, catalog: Catalog, tokenizer: TitleTokenizer) -> None:
        self._catalog = catalog
        self._tokenizer = tokenizer
        self._begin = tokenizer.config.answer.split(TITLE)[0]

    @classmethod
    def of_run(cls, run: Run) -> PrefixTexts | None:
        """Where the run's items are titles; None where they are not.

        Raises:
            ValueError: If its tokenizer is damaged, or transformers is not installed.
        """
        folder = run.folder / TOKENIZER_FOLDER
        if not (folder / TEXT_FOLDER).is_dir():
            return None
        return cls(run.catalog, TitleTokenizer.load(folder))

    def of(self, node: int) -> str:
        """A title, where only one is left; else what all titles below begin with."""
        catalog = self._catalog
        stop = catalog.run_stop[[node]].long()
        path = catalog.leaf_tokens[int(catalog.leaf_start[node]), : int(catalog.depth_of(stop))]
        if bool(catalog.is_leaf(stop)):
            return self._tokenizer.decode_answers([path[:-1].tolist()])[0]
        text = self._tokenizer.decode_answers([path.tolist()])[0]
        return text.removeprefix(self._begin).rstrip(BROKEN) + MORE

"""Source `movielens`: ratings and titles as GroupLens publishes them, from 100K to 32M."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl
from pydantic import NonNegativeInt

from beamwise.config import Config
from beamwise.data.bad_input import bad_file, bad_value, shown
from beamwise.data.dataset import Dataset
from beamwise.data.filtering import gathered_core
from beamwise.data.item_metadata import item_table, joined, one_line
from beamwise.data.raw_batches import ROWS_AT_ONCE, RawBatch
from beamwise.data.raw_interactions import Rules, gather
from beamwise.data.raw_lines import line_blocks
from beamwise.data.raw_tables import read_batches

RATING_COLUMNS = ("user_id", "item_id", "rating", "timestamp")
"""The order of the fields in all releases."""
CSV_COLUMNS = {"user_id": "userId", "item_id": "movieId", "timestamp": "timestamp"}
NO_GENRE = ("unknown", "(no genres listed)")
GENRES_OF_100K = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
"""What the flags at the end of a line of `u.item` mean, in their order."""


class MovieLensConfig(Config):
    """An unpacked release of MovieLens."""

    name: Literal["movielens"] = "movielens"
    folder: Path
    """Where the files lie: ratings.csv and movies.csv, ratings.dat and movies.dat, or u.data and
    u.item."""
    min_interactions: NonNegativeInt = 5
    """Keep the k-core of this k and only its items; 0 keeps every user and item with a rating."""
    min_rating: float | None = None
    """Keep ratings of at least this many stars, before the k-core; all where null."""


class _Release(NamedTuple):
    """How a release writes its files."""

    ratings: str
    movies: str
    separator: str | None
    """Between the fields of ratings; None for CSV with a header."""


RELEASES = (
    _Release("ratings.csv", "movies.csv", None),
    _Release("ratings.dat", "movies.dat", "::"),
    _Release("u.data", "u.item", "\t"),
)


def read_movielens(config: MovieLensConfig) -> Dataset:
    """Read ratings, titles and genres; an interaction is a rating, whatever its stars.

    Items are the movies with a rating that stays, in the order of their first one in the file.

    Raises:
        ValueError: One line with file, row and fix, if no release is in the folder, a file of it is
            missing or not readable, a row is not what the release has there, or no rating is left.
    """
    release = _release_in(config.folder)
    ratings = config.folder / release.ratings
    rules = Rules() if release.separator else Rules(columns=CSV_COLUMNS)
    liked = _AtLeast(config.min_rating, ratings, rules)
    gathered = gather(liked.of(_ratings(ratings, release.separator)), ratings, rules)
    gathered = gathered._replace(num_rows=gathered.num_rows + liked.num_dropped)
    dropped = {"dropped_below_min_rating": liked.num_dropped}
    interactions, notes = gathered_core(gathered, config.min_interactions, ratings, dropped)
    movies = _movies(config.folder / release.movies)
    items = item_table(interactions.item_ids, ("title", "genres"), movies)
    return Dataset(interactions, items, notes=notes)


def _release_in(folder: Path) -> _Release:
    if folder.is_file():
        raise bad_file(folder, "is a file", "give the folder of the unpacked release")
    if not folder.is_dir():
        raise ValueError(f"no such folder: {folder}; give the one of the unpacked release")
    found = [release for release in RELEASES if (folder / release.ratings).is_file()]
    names = ", ".join(release.ratings for release in (found or RELEASES))
    if not found:
        raise bad_file(folder, f"holds none of {names}", "name the folder of the unpacked release")
    if len(found) > 1:
        raise bad_file(folder, f"holds several releases ({names})", "keep one in the folder")
    if not (folder / found[0].movies).is_file():
        raise bad_file(folder, f"holds no {found[0].movies}", "add it from the release")
    return found[0]


def _ratings(path: Path, separator: str | None) -> Iterator[RawBatch]:
    if separator is None:
        columns = CSV_COLUMNS | {"rating": "rating"}
        return read_batches(path, columns, fix="give ratings.csv as it was published")
    return _split(path, separator)


def _split(path: Path, separator: str) -> Iterator[RawBatch]:
    """Rows without a header, of which the separator may have several characters."""
    first_row = 1
    for block in line_blocks(path):
        lines = pl.Series(_decoded(block).split("\n")).str.strip_chars_end("\r")
        fields = lines.filter(lines != "").str.split(separator)
        wrong = fields.list.len() != len(RATING_COLUMNS)
        if wrong.any():
            row = wrong.arg_max() or 0
            raise _not_fields(path, first_row + row, separator.join(fields[row]), RATING_COLUMNS)
        columns = {name: fields.list.get(i) for i, name in enumerate(RATING_COLUMNS)}
        for part in pl.DataFrame(columns).iter_slices(ROWS_AT_ONCE):
            yield RawBatch(first_row, part)
            first_row += part.height


@dataclass
class _AtLeast:
    """Takes ratings of at least `min_rating` stars, and counts the others."""

    min_rating: float | None
    """All where null."""
    path: Path
    rules: Rules
    num_dropped: int = 0

    def of(self, batches: Iterator[RawBatch]) -> Iterator[RawBatch]:
        """What is left of each batch."""
        if self.min_rating is None:
            yield from batches
            return
        num_kept = 0
        for batch in batches:
            stars = self._stars(batch)
            # Rows are checked before some are taken out, so that a message has the row's number.
            gather([batch], self.path, self.rules)
            kept = batch.table.filter(stars >= self.min_rating)
            num_kept += kept.height
            self.num_dropped += batch.table.height - kept.height
            if kept.height:
                yield RawBatch(batch.first_row, kept)
        if not num_kept:
            what = f"has no rating of at least {self.min_rating} stars"
            raise bad_file(self.path, what, "lower min_rating")

    def _stars(self, batch: RawBatch) -> pl.Series:
        texts = batch.table["rating"]
        stars = texts.cast(pl.Float64, strict=False)
        refused = ~stars.is_finite().fill_null(value=False)
        if refused.any():
            row = batch.first_row + (refused.arg_max() or 0)
            value, fix = texts[row - batch.first_row], "correct or drop the row"
            raise bad_value(self.path, row, "rating", value, "a number", fix)
        return stars


def _movies(path: Path) -> dict[str, tuple[str | None, ...]]:
    """Title and genres of each movie."""
    if path.suffix == ".csv":
        columns = {"item_id": "movieId", "title": "title", "genres": "genres"}
        batches = read_batches(path, columns, fix="give movies.csv as it was published")
        rows = (row for batch in batches for row in batch.table.iter_rows())
        return {item: _texts(title, genres.split("|")) for item, title, genres in rows}
    lines = _decoded(b"".join(line_blocks(path))).splitlines()
    read = _movie_of_100k if path.name == "u.item" else _movie
    return dict(read(path, row, line) for row, line in enumerate(filter(None, lines), 1))


def _movie(path: Path, row: int, line: str) -> tuple[str, tuple[str | None, ...]]:
    fields = line.split("::")
    if len(fields) != 3:
        raise _not_fields(path, row, line, ("item_id", "title", "genres"))
    return fields[0], _texts(fields[1], fields[2].split("|"))


def _movie_of_100k(path: Path, row: int, line: str) -> tuple[str, tuple[str | None, ...]]:
    fields = line.split("|")
    head, flags = fields[:5], fields[5:]
    if len(flags) != len(GENRES_OF_100K) or not set(flags) <= {"0", "1"}:
        names = ("item_id", "title", "release date", "video release date", "URL", "19 flags 0 or 1")
        raise _not_fields(path, row, line, names)
    genres = [genre for genre, flag in zip(GENRES_OF_100K, flags, strict=True) if flag == "1"]
    return head[0], _texts(head[1], genres)


def _texts(title: str, genres: list[str]) -> tuple[str | None, ...]:
    known = [genre for genre in genres if genre not in NO_GENRE]
    return one_line(title), joined(known, ", ")


def _decoded(content: bytes) -> str:
    """Text in UTF-8, as of 10M on, or else in Latin-1, as 100K and 1M are, which takes any."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _not_fields(path: Path, row: int, line: str, names: tuple[str, ...]) -> ValueError:
    return bad_file(
        path,
        f"has {shown(line)} in row {row} and not the fields {', '.join(names)}",
        "correct or drop the row",
    )

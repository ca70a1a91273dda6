"""`beamwise recommend`: items for histories given as ids, titles, a user of the data, or a file."""

from __future__ import annotations

import json as json_format
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TextIO

from cyclopts import Parameter

from beamwise.cli.output import json_line, message, print_items, print_json
from beamwise.cli.parameters import Flag, Json
from beamwise.cli.runs import tell_if_unfinished
from beamwise.serving.recommender import Recommendation, Recommender, load

TOP_K = 10
AT_ONCE = 1024
"""Histories of a file that are answered together."""
MOST_NAMED = 5
"""Unknown ids that one message names."""


@dataclass(frozen=True)
class Query:
    """One history, and whose it is where that is known."""

    history: list[str]
    user_id: str | None = None
    place: str | None = None
    """Where a file has it."""


def recommend(
    run: Path,
    /,
    *,
    history: str | None = None,
    titles: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    user: str | None = None,
    file: Path | None = None,
    top_k: int | None = None,
    beam_width: int | None = None,
    exact: Flag = False,
    data: Path | None = None,
    skip_unknown: Flag = False,
    exclude_history: Flag = False,
    only: str | None = None,
    exclude: str | None = None,
    out: Path | None = None,
    json: Json = False,
) -> None:
    """Recommend items for one history, or for every line of a file.

    For example:

      beamwise recommend runs/ce --history item-0004,item-0311 --top-k 5
      beamwise recommend runs/ce --titles "Blue Mug" --titles "Tea Pot"
      beamwise recommend runs/ce --user user-0042 --exclude-history --exact --json
      beamwise recommend runs/ce --data data/shop --history item-0004,new-item
      beamwise recommend runs/ce --user user-0042 --only @in-stock.txt --exclude item-0004
      beamwise recommend runs/ce --file histories.jsonl --out recommendations.jsonl

    Args:
        run: Run folder that train wrote.
        history: Item ids in time order, separated by commas.
        titles: A title of the history; repeat the option for each, in time order.
        user: A user of the run's data, whose whole history is read.
        file: JSON lines: each a list of item ids, or an object with "history" and maybe "user_id".
        top_k: Items for each history; 10, or all where the catalog has fewer, where not given.
        beam_width: Prefixes kept after each level, at least top_k.
        exact: Find the items that are the most probable of all, and prove it: as a rule up
            to three times the work of a beam search, more where the proof does not fit; there is
            no beam-width then.
        data: Dataset folder whose catalog and users take the place of the run's own: with items
            added or retired, or tokenized like the run's.
        skip_unknown: Leave unknown item ids out of histories and lists, instead of refusing them;
            they are named.
        exclude_history: Recommend no item of a history again. Runs are evaluated without this.
        only: Item ids that may be recommended, separated by commas; or @FILE with one a line.
        exclude: Item ids that may not, written likewise.
        out: File to write JSON lines to, whole or not at all.
        json: Print JSON lines on standard output, no tables.
    """
    _check_one_way(history=history, titles=titles, user=user, file=file)
    tell_if_unfinished(run)
    recommender = load(run, data=data)
    top_k = min(TOP_K, recommender.catalog.num_items) if top_k is None else top_k
    queries = _queries(recommender, history, titles, user, file)
    eligible = None if only is None else item_list(only, "--only")
    excluded = [] if exclude is None else item_list(exclude, "--exclude")
    if skip_unknown:
        _name_unknown(recommender, "--only, --exclude", [*(eligible or []), *excluded])
    lines = too_few = 0
    with _output(out) as target:
        while chunk := list(islice(queries, AT_ONCE)):
            if skip_unknown:
                for query in chunk:
                    _name_unknown(recommender, query.place or "history", query.history)
            else:
                _check_known(recommender, chunk)
            found = recommender.recommend(
                [query.history for query in chunk],
                top_k,
                beam_width=beam_width,
                skip_unknown=skip_unknown,
                exclude_history=exclude_history,
                exact=exact,
                eligible=eligible,
                excluded=excluded,
            )
            too_few += sum(len(items) < top_k for items in found)
            for query, items in zip(chunk, found, strict=True):
                if target is not None:
                    target.write(json_line(_answer(query, items)) + "\n")
                elif json:
                    print_json(_answer(query, items))
                else:
                    print_items(_title(query), items)
            lines += len(chunk)
    if too_few:
        message(
            f"{too_few:,} of {lines:,} histories have fewer than {top_k} items, since no more may "
            "be recommended"
        )
    if out is not None:
        message(f"wrote recommendations for {lines:,} histories to {out}")


def item_list(text: str, option: str) -> list[str]:
    """The item ids of an option: separated by commas, or one a line of @FILE.

    Raises:
        ValueError: If there is no such file, it is no text, or no id is given.
    """
    lines = text.split(",")
    if text.startswith("@"):
        path = Path(text[1:])
        if not path.is_file():
            raise ValueError(f"{option}: no file at {path}: give one with an item id a line")
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f"{option}: {path} is not UTF-8 at byte {error.start}") from None
    ids = [line.strip() for line in lines if line.strip()]
    if not ids:
        raise ValueError(f"{option} names no item: leave it out or give item ids")
    return ids


def _name_unknown(recommender: Recommender, place: str, item_ids: Sequence[str]) -> None:
    """Say which ids are left out."""
    unknown = recommender.unknown_ids(item_ids)
    if unknown:
        named = ", ".join(repr(item) for item in unknown[:MOST_NAMED])
        more = f" and {len(unknown) - MOST_NAMED:,} more" if len(unknown) > MOST_NAMED else ""
        message(f"{place}: left out, unknown to the catalog: {named}{more}")


def _check_one_way(**ways: object) -> None:
    """Exactly one way of giving histories."""
    given = [f"--{name}" for name, value in ways.items() if value is not None and value != ()]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise ValueError(f"give one of --{', --'.join(ways)}; got {found}")


def _queries(
    recommender: Recommender,
    history: str | None,
    titles: tuple[str, ...],
    user: str | None,
    file: Path | None,
) -> Iterator[Query]:
    if file is not None:
        return _read_queries(file)
    if user is not None:
        return iter([Query(recommender.history_of_user(user), user)])
    if titles:
        return iter([Query(recommender.item_ids_of_titles(titles))])
    ids = [part.strip() for part in (history or "").split(",")]
    return iter([Query([item for item in ids if item])])


def _read_queries(path: Path) -> Iterator[Query]:
    """The lines of a file of histories; blank lines are passed over.

    Raises:
        ValueError: If there is no such file, or a line is not a history.
    """
    if not path.is_file():
        raise ValueError(f"no file at {path}: give a file of JSON lines, one history each")
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _parse(line, f"{path}, line {number}")


def _parse(line: bytes, place: str) -> Query:
    try:
        content = json_format.loads(line.decode("utf-8-sig"))
        json_format.dumps(content, ensure_ascii=False).encode()  # not half a surrogate pair
    except (UnicodeError, ValueError, RecursionError) as error:
        is_json = isinstance(error, json_format.JSONDecodeError)
        reason = error.msg if is_json else type(error).__name__
        raise ValueError(f"{place} is not JSON ({reason}): write one history a line") from None
    described = content if isinstance(content, dict) else {"history": content}
    history = described.get("history")
    if not isinstance(history, list) or not all(isinstance(item, str) for item in history):
        raise ValueError(
            f'{place} is no history: write a list of item ids, as in ["4", "17"], '
            'or {"user_id": "u1", "history": ["4", "17"]}'
        )
    user = described.get("user_id")
    return Query(history, None if user is None else str(user), place)


def _check_known(recommender: Recommender, queries: list[Query]) -> None:
    """Unknown ids are named with the line of the file that has them."""
    for query in queries:
        if query.place is not None:
            try:
                recommender.catalog.indices_of(query.history)
            except ValueError as error:
                raise ValueError(f"{query.place}: {error}") from None


@contextmanager
def _output(path: Path | None) -> Iterator[TextIO | None]:
    """A file that takes its name only when all is written."""
    if path is None:
        yield None
        return
    if path.is_dir():
        raise ValueError(f"{path} is a folder: name a file for --out")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _answer(query: Query, items: list[Recommendation]) -> dict[str, Any]:
    user = {} if query.user_id is None else {"user_id": query.user_id}
    recommended = [item._asdict() for item in items]
    return user | {"history": query.history, "recommendations": recommended}


def _title(query: Query) -> str:
    if query.user_id is not None:
        return f"recommended to user {query.user_id} after {len(query.history)} items"
    return f"recommended after {', '.join(query.history) or 'nothing'}"

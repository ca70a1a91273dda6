"""Source `title-windows`: the sliding windows in which benchmarks of text recommenders come."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl

from beamwise.config import Config
from beamwise.data.bad_input import bad_file, bad_value
from beamwise.data.dataset import Dataset
from beamwise.data.json_objects import read_json_object
from beamwise.data.published_targets import PARTS
from beamwise.data.raw_tables import read_batches
from beamwise.data.sources.rebuilt_users import RebuiltUser, Window, rebuild, table_of, targets_of
from beamwise.data.timestamps import NUMBER, expected, parse_timestamps

FILES = {"training": "train.csv", "validation": "valid.csv", "test": "test.csv"}
"""By the part that their targets are for."""
ITEMS_FILE = "items.json"
COLUMNS = ("user_id", "item_ids", "timestamp")
CORRECT = "correct or drop the row"


class TitleWindowsConfig(Config):
    """A folder with `train.csv`, `test.csv`, maybe `valid.csv`, and `items.json`."""

    name: Literal["title-windows"] = "title-windows"
    folder: Path
    """Where the files lie."""


class _Row(NamedTuple):
    """A window, and where it stands."""

    window: Window
    user_id: str
    path: Path
    row: int
    """From 1, a header not counted."""


def read_title_windows(config: TitleWindowsConfig) -> Dataset:
    """Read the windows, and rebuild the users' sequences that they were cut from.

    A window is a row `user_id,item_ids,timestamp`: a list of items in time order, the last of which
    is the target, taken at `timestamp`. The sequence of a user is the items of its first window,
    then what each next window adds to them. Items before the first target, and items between two
    windows whose own window is not there, have no time: they get that of the user's next target. A
    window that does not continue what is known of its user begins another user, named `ID/2` and so
    on. So every window's history is exactly what comes before its target in the result, cut to the
    longest history of the files.

    Items are those of `items.json`, in its order, titles as they stand there; a title of white
    space only is null. Users are in the order of their ids as numbers, or where some are no
    numbers, of their first window: this orders windows of one time as the published files do.

    Raises:
        ValueError: One line that names the file, row, column, value and fix.
    """
    if not config.folder.is_dir():
        raise ValueError(f"no such folder: {config.folder}; give the one with {FILES['training']}")
    items = _read_items(config.folder / ITEMS_FILE)
    rows = list(_rows(config.folder, items))
    users = _by_user(rows)
    most_history = max(len(row.window.items) for row in rows) - 1
    rebuilt = [
        user
        for user_id, of_user in users.items()
        for user in rebuild(user_id, [row.window for row in of_user], most_history)
    ]
    _check_names(rebuilt, config.folder)
    notes = _notes(rows, rebuilt, len(users))
    return Dataset(table_of(rebuilt), items, notes=notes, targets=targets_of(rebuilt))


def _rows(folder: Path, items: pl.DataFrame) -> Iterable[_Row]:
    """All windows, a part after the other."""
    known = set(items["item_id"])
    for part, name in FILES.items():
        path = folder / name
        if part == "validation" and not path.exists():
            continue
        for first_row, table in read_batches(
            path,
            dict(zip(COLUMNS, COLUMNS, strict=True)),
            fix=f"give the columns {', '.join(COLUMNS)}",
        ):
            times = _times(path, first_row, table["timestamp"])
            user_ids, lists = table["user_id"].to_list(), table["item_ids"].to_list()
            for row, (user_id, text, time) in enumerate(
                zip(user_ids, lists, times, strict=True), first_row
            ):
                if not (user_id or "").strip():
                    raise bad_value(path, row, "user_id", user_id, "an id", CORRECT)
                taken = _items_in(path, row, text, known)
                yield _Row(Window(taken, time, PARTS.index(part)), user_id, path, row)


def _times(path: Path, first_row: int, values: pl.Series) -> list[int]:
    times = parse_timestamps(values, NUMBER)
    if times.null_count():
        row = times.is_null().arg_max() or 0
        raise bad_value(path, first_row + row, "timestamp", values[row], expected(NUMBER), CORRECT)
    return times.to_list()


def _items_in(path: Path, row: int, text: str | None, known: set[str]) -> tuple[str, ...]:
    """The ids of a list such as `[3, 17]` or `["B01", "B02"]`."""
    try:
        values = json.loads(text or "")
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, list) or not all(type(value) in (int, str) for value in values):
        form = "a list of item ids as in [3, 17, 5]"
        raise bad_value(path, row, "item_ids", text, form, CORRECT)
    if len(values) < 2:
        raise bad_value(path, row, "item_ids", text, "a history and a target", CORRECT)
    taken = tuple(str(value) for value in values)
    for item in taken:
        if item not in known:
            fix = f"add it to {ITEMS_FILE} or drop the row"
            raise bad_value(path, row, "item_ids", item, f"an item of {ITEMS_FILE}", fix)
    return taken


def _by_user(rows: list[_Row]) -> dict[str, list[_Row]]:
    """Every user's windows by part, then time, then row; the users in their order."""
    users: dict[str, list[_Row]] = {}
    for row in sorted(rows, key=lambda row: (row.window.part, row.window.time)):
        users.setdefault(row.user_id, []).append(row)
    for of_user in users.values():
        _check_order(of_user)
    if all(user_id.isascii() and user_id.isdigit() for user_id in users):
        users = dict(sorted(users.items(), key=lambda user: int(user[0])))
    return users


def _check_order(of_user: list[_Row]) -> None:
    """Refuse windows of one user that stand twice, or in a part before their time."""
    places: dict[Window, _Row] = {}
    for before, row in zip([None, *of_user], of_user, strict=False):
        if before is not None and row.window.time < before.window.time:
            raise bad_value(
                row.path,
                row.row,
                "timestamp",
                row.window.time,
                f"at or after {before.window.time}, the time of the same user in "
                f"{before.path.name}, row {before.row}",
                "parts must follow one another in time: correct it, or move the row",
            )
        same = places.setdefault(row.window._replace(part=0), row)
        if same is not row:
            raise bad_file(
                row.path,
                f"has in row {row.row} the window of {same.path.name}, row {same.row}, again",
                "drop one of them",
            )


def _read_items(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise ValueError(f"no file at {path}: add it, an object of item ids and their titles")
    titles = read_json_object(path, "items and their titles")
    for item, title in titles.items():
        if not item.strip():
            raise ValueError(f"{path}: item id {item!r} is blank: give it an id or drop it")
        if title is not None and not isinstance(title, str):
            raise ValueError(f"{path}: item {item!r} has the title {title!r}: a text is needed")
    known = [title if title and title.strip() else None for title in titles.values()]
    schema = {"item_id": pl.String, "title": pl.String}
    return pl.DataFrame({"item_id": list(titles), "title": known}, schema=schema)


def _check_names(rebuilt: list[RebuiltUser], folder: Path) -> None:
    names: set[str] = set()
    for user in rebuilt:
        if user.user_id in names:
            raise ValueError(
                f"{folder}: a user is called {user.user_id!r}, as the second part of another would "
                "be, whose windows do not continue one another: rename the user"
            )
        names.add(user.user_id)


def _notes(rows: list[_Row], rebuilt: list[RebuiltUser], num_users: int) -> dict[str, int]:
    num_items = sum(len(user.items) for user in rebuilt)
    between = sum(user.num_between for user in rebuilt)
    return {
        "windows_read": len(rows),
        "items_in_the_longest_window": max(len(row.window.items) for row in rows),
        "interactions_with_the_time_of_a_later_one": num_items - len(rows),
        "windows_missing_between_others": between,
        "users_with_windows_missing": sum(user.num_between > 0 for user in rebuilt),
        "users_parted_from_others": len(rebuilt) - num_users,
    }

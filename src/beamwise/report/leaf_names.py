"""What people call the leaves of catalogs, by which results are counted."""

from __future__ import annotations

from collections.abc import Collection

SEMANTIC_ID, TITLE = "semantic ID", "title"


def leaf_names(are_titles: Collection[bool]) -> str:
    """The name of a leaf, or of each kind where catalogs are of both.

    Args:
        are_titles: Of every catalog, whether its items are titles.
    """
    names = {False: SEMANTIC_ID, True: TITLE}
    return " or ".join(name for is_title, name in names.items() if is_title in are_titles)

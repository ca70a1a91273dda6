"""A tokenizer's quality as Markdown that a newcomer can read, alone or beside others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from beamwise.tokenization.code_geometry import PrefixSharing
from beamwise.tokenization.code_use import CodeUse
from beamwise.tokenization.quality import TokenizerQuality

PERPLEXITY = (
    "*Perplexity* says how many codes do the work: a level with perplexity 100 is as hard to guess "
    "as 100 codes used equally often. *Distinct prefixes* are the different beginnings of this "
    "length, from which beam search chooses."
)
COLLISIONS = "Items with equal IDs get equal scores: nothing can rank one above the other."
VARIANCE = (
    "The share of the vectors' variance that codes up to a level do not explain: 0 % is a perfect "
    "copy. *Level by level* adds up one mean for each code, *within equal prefixes* compares items "
    "with the items that have the same prefix. *By chance* is what codes dealt to the items at "
    "random would leave; small groups explain much by chance, so only what is clearly below it "
    "counts."
)
SHARING = (
    "The share of an item's nearest neighbours ({neighbours} by cosine, {probes:,} items asked) "
    "that begin with the same codes; *at most* says what is possible, since a prefix of n items "
    "has room for n - 1 neighbours. *Lift* is the share over that of all pairs: 1 means that "
    "codes ignore similarity. The mean cosine of two items is {cosine:.3f} over all pairs; the "
    "last column has it for pairs with equal prefix."
)
NO_VECTORS = "Not measured: there were no item vectors."
ABSENT = "-"


COLLISION_COSTS = (
    "What a rule for collisions cost in recall@20 by item on the simulated shop, where 49 of 1,120 "
    "items collided (one seed, docs/results/tokenizers.md): `reassign` .174, `suffix` .169, with a "
    "step more to decode, `share` .168."
)
"""From docs/results/tokenizers.md."""


def quality_markdown(
    quality: TokenizerQuality, title: str, settings: Mapping[str, object] | None = None
) -> str:
    """The whole report: warnings first, then settings, tables and what their columns mean.

    Args:
        quality: The figures.
        title: Heading; one line.
        settings: What made the codes, by name; nested mappings are written with dots.
    """
    use = quality.use
    parts = [f"# {title}", _summary(use), "## Warnings", *_warnings(quality)]
    if settings:
        rows = [(f"`{name}`", f"`{_as_yaml(value)}`") for name, value in _flat(settings)]
        parts += ["## Settings", _table(("setting", "value"), rows, numbers=False)]
    parts += ["## How the codes of each level are used", _use_table(use), PERPLEXITY]
    parts += ["## Items with equal IDs", _collision_table(use), COLLISIONS]
    parts += ["## What the codes keep of the item vectors", *_variance(quality)]
    parts += ["## Do similar items share prefixes?", *_sharing(quality)]
    return "\n\n".join(parts) + "\n"


def quality_comparison_markdown(qualities: Mapping[str, TokenizerQuality]) -> str:
    """One table with a column a tokenizer, then the warnings of each.

    Raises:
        ValueError: If there are none.
    """
    if not qualities:
        raise ValueError("there are no tokenizers to compare: give at least one")
    columns = [dict(_figures(quality)) for quality in qualities.values()]
    measures = sorted({key for column in columns for key in column})
    rows = [
        (_measure(key), *(column.get(key, ABSENT) for column in columns))
        for key in measures
        if any(column.get(key, ABSENT) != ABSENT for column in columns)
    ]
    parts = [_table(("", *qualities), rows)]
    for name, quality in qualities.items():
        parts += [f"Warnings on {name}:", *_warnings(quality)]
    return "\n\n".join(parts) + "\n"


def group_size_bins(use: CodeUse) -> dict[str, int]:
    """IDs by how many items have them: 1, 2, 3-4, 5-8, ... up to the largest group."""
    bins: dict[str, int] = {}
    low, high = 1, 1
    while low <= use.largest_group:
        ids = sum(count for size, count in use.ids_by_size if low <= size <= high)
        bins[str(low) if low == high else f"{low}-{high}"] = ids
        low, high = high + 1, high * 2
    return bins


def _summary(use: CodeUse) -> str:
    levels = _count(use.num_meaningful_levels, "level")
    text = (
        f"{_count(use.num_items, 'item')}, {levels} of {_count(use.codebook_size, 'code')}: "
        f"**{_count(use.distinct_ids, 'distinct ID')}**"
    )
    suffixes = len(use.levels) - use.num_meaningful_levels
    if suffixes:
        text += (
            f" with a suffix of {_count(suffixes, 'level')}, {use.meaningful_ids:,} without; the "
            "suffix only keeps items apart and says nothing about them"
        )
    return text + "."


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _warnings(quality: TokenizerQuality) -> list[str]:
    if not quality.warnings:
        return ["None: nothing looks collapsed."]
    lines = [
        f"- **{warning.what[0].upper()}{warning.what[1:]}.** Remedy: {warning.remedy}."
        for warning in quality.warnings
    ]
    return ["\n".join(lines)]


def _use_table(use: CodeUse) -> str:
    header = ("level", "codes used", "perplexity", "items of the most used", "distinct prefixes")
    rows = []
    for index, level in enumerate(use.levels):
        is_suffix = index >= use.num_meaningful_levels
        rows.append(
            (
                f"{index + 1} (suffix)" if is_suffix else str(index + 1),
                f"{level.codes_used:,}" + ("" if is_suffix else f" of {use.codebook_size:,}"),
                f"{level.perplexity:,.1f}",
                f"{level.most_used_items:,} ({level.most_used_items / use.num_items:.1%})",
                f"{level.distinct_prefixes:,}",
            )
        )
    return _table(header, rows)


def _collision_table(use: CodeUse) -> str:
    rows = [(size, f"{ids:,}") for size, ids in group_size_bins(use).items()]
    sentence = (
        f"{_count(use.sharing_items, 'item')} of {use.num_items:,} "
        f"({use.sharing_items / use.num_items:.1%}) have an ID that another item has too; the "
        f"largest group has {_count(use.largest_group, 'item')}."
    )
    return "\n\n".join([_table(("items on an ID", "IDs"), rows), sentence, COLLISION_COSTS])


def _variance(quality: TokenizerQuality) -> list[str]:
    if quality.zero_vectors is None:
        return [NO_VECTORS]
    if quality.variance is None:
        return ["Not measured: all item vectors are equal."]
    header = ("level", "level by level", "by chance", "within equal prefixes", "by chance")
    rows = []
    for level, left in enumerate(quality.variance, start=1):
        shares = (
            left.error,
            left.error_by_chance,
            left.within_prefix,
            left.within_prefix_by_chance,
        )
        rows.append((str(level), *(f"{share:.1%}" for share in shares)))
    repeated, zero = quality.repeated_vectors or 0, quality.zero_vectors
    counted = (
        f"{_count(repeated, 'item')} with the vector of an earlier item, "
        f"{_count(zero, 'item')} with a zero vector."
    )
    return [_table(header, rows), VARIANCE, counted]


def _sharing(quality: TokenizerQuality) -> list[str]:
    near = quality.neighbourhood
    if quality.zero_vectors is None:
        return [NO_VECTORS]
    if near is None:
        return ["Not measured: fewer than two item vectors are not zero."]
    header = ("first codes", "neighbours", "at most", "random pairs", "lift", "mean cosine")
    rows = [
        (
            str(length),
            f"{sharing.neighbours:.2%}",
            f"{sharing.at_most:.2%}",
            f"{sharing.random_pairs:.3%}",
            _number(sharing.lift, 1),
            _number(sharing.cosine_with_equal_prefix, 3),
        )
        for length, sharing in enumerate(near.lengths, start=1)
    ]
    meaning = SHARING.format(
        neighbours=near.num_neighbours, probes=near.num_probes, cosine=near.cosine_of_all_pairs
    )
    return [_table(header, rows), meaning]


Key = tuple[int, str, int]
"""Where a figure stands in the comparison: order of the measure, its name, the level or 0."""


def _figures(quality: TokenizerQuality) -> Iterator[tuple[Key, str]]:
    use = quality.use
    yield (0, "items", 0), f"{use.num_items:,}"
    suffixes = len(use.levels) - use.num_meaningful_levels
    suffix = f" + {suffixes} suffix" if suffixes else ""
    yield (1, "levels x codes", 0), f"{use.num_meaningful_levels} x {use.codebook_size:,}{suffix}"
    yield (2, "distinct IDs", 0), f"{use.distinct_ids:,}"
    yield (3, "items with an ID that another has", 0), f"{use.sharing_items:,}"
    yield (4, "largest group of equal IDs", 0), f"{use.largest_group:,}"
    for level, figures in enumerate(use.levels, start=1):
        share = figures.most_used_items / use.num_items
        yield (5, "distinct prefixes up to level", level), f"{figures.distinct_prefixes:,}"
        yield (6, "perplexity of level", level), f"{figures.perplexity:,.1f}"
        yield (7, "items on the most used code of level", level), f"{share:.1%}"
    for level, left in enumerate(quality.variance or (), start=1):
        error = f"{left.error:.1%} ({left.error_by_chance:.1%})"
        within = f"{left.within_prefix:.1%} ({left.within_prefix_by_chance:.1%})"
        yield (8, "variance left (by chance), level by level, after level", level), error
        yield (9, "variance left (by chance) within prefixes up to level", level), within
    for level, sharing in enumerate(_lengths(quality), start=1):
        neighbours = f"{sharing.neighbours:.2%} ({sharing.at_most:.2%})"
        lift = _number(sharing.lift, 1)
        yield (10, "neighbours (at most) with the same codes up to level", level), neighbours
        yield (11, "their share over that of random pairs (lift), up to level", level), lift


def _lengths(quality: TokenizerQuality) -> Sequence[PrefixSharing]:
    return quality.neighbourhood.lengths if quality.neighbourhood else ()


def _measure(key: Key) -> str:
    _, name, level = key
    return f"{name} {level}" if level else name


def _number(value: float | None, digits: int) -> str:
    return ABSENT if value is None else f"{value:,.{digits}f}"


def _flat(settings: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _as_yaml(value: object) -> str:
    """A setting as a file of settings may have it: JSON is YAML, and texts need no quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = True) -> str:
    """A Markdown table; its first column is text, numbers in the others are set to the right."""
    rule = "---:" if numbers else "---"
    lines = [header, ["---", *[rule] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())

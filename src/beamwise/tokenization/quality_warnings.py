"""What is wrong with a tokenizer's codes, in one sentence each, and which setting mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from beamwise.tokenization.code_geometry import Neighbourhood, VarianceLeft
from beamwise.tokenization.code_use import CodeUse

LOW_PERPLEXITY = 0.2
"""Of the codes that a level could use: below a fifth, a codebook a quarter as large would say as
much. Residual k-means (4 x 256) on the texts of 2,420 office products keeps 0.41 and above."""
LARGE_SHARE = 0.2
"""Of the items on one code, and at least twice an even share: a first token that so many items
share tells a user's taste apart no better than a single popular category would."""
MANY_COLLISIONS = 0.1
"""Of the items, those beyond the first of their ID: a recommender's recall by item cannot pass the
share of items that it can name, and a tenth is more than most objectives gain."""
MANY_REPEATED = 0.05
"""Of the items, those with the vector of another: half of the above: no quantiser can mend it."""
SMALL_GAIN = 0.01
"""Of the prefixes before a level, and of the variance: what a level adds if it adds anything."""
ALMOST_UNIQUE = 0.95
"""Distinct prefixes for each item: the few left over are collisions that later levels resolve."""
LEVELS_LEFT = 2
"""Levels after the prefixes are almost unique that are worth a warning: one is a safety margin."""
LOW_LIFT = 1.5
"""Neighbours' shared first codes over random pairs': 20,000 sampled pairs spread by up to 0.2."""
LOW_EXCESS = 0.1
"""(neighbours - random) / (1 - random): with two codes a lift of 1.5 would need three quarters."""
LARGE_NEIGHBOURHOOD = 0.1
"""Of all items: neighbours that are more of the catalog than this are no better than random."""
SMALL_CATALOG = 16
"""Items for each code of a level: below it the first level leaves too few to split as finely."""


@dataclass(frozen=True)
class QualityWarning:
    """One thing that is wrong, with its figure, and the settings that mend it."""

    what: str
    remedy: str


@dataclass(frozen=True)
class MadeBy:
    """The settings that made codes, so that no remedy is one that is taken already."""

    quantizer: str | None
    """Its name; None for codes that came with the data, which no setting changes."""
    collisions: str | None = None
    balanced: bool = False
    embedding: str | None = None
    """The name of what made the vectors; None where unknown."""
    is_extended: bool = False
    """Whether some of the items came after the codebooks were fitted."""


UNKNOWN = MadeBy("", "share")
"""For codes of any quantizer: every remedy is told."""
MAKE_CODES = "make codes with --method rq-kmeans"


@dataclass(frozen=True)
class Judged:
    """All that warnings are read from; None where there were no vectors to measure it on."""

    use: CodeUse
    zero_vectors: int | None
    repeated_vectors: int | None
    variance: tuple[VarianceLeft, ...] | None
    neighbourhood: Neighbourhood | None
    made_by: MadeBy = UNKNOWN

    @property
    def is_published(self) -> bool:
        """Whether the codes came with the data."""
        return self.made_by.quantizer is None

    def share(self, num_items: int) -> str:
        """A number of items as text, with its share of the catalog."""
        return (
            f"{num_items:,} of {self.use.num_items:,} items ({num_items / self.use.num_items:.1%})"
        )


def quality_warnings(judged: Judged) -> tuple[QualityWarning, ...]:
    """The warnings on these figures, what to mend first first; suffix levels are not judged."""
    found = tuple(warning for rule in RULES for warning in rule(judged))
    if not judged.made_by.is_extended:
        return found
    anew = "fitted codebooks cannot grow, so tokenize all items anew and train again"
    return tuple(QualityWarning(each.what, f"{anew}; there, {each.remedy}") for each in found)


def _zero_vectors(judged: Judged) -> Iterator[QualityWarning]:
    if judged.zero_vectors:
        yield QualityWarning(
            f"{judged.share(judged.zero_vectors)} have a zero vector: nothing is known of them, so "
            + (
                "their codes cannot be judged"
                if judged.is_published
                else "their codes mean nothing"
            ),
            _KNOW_MORE.get(judged.made_by.embedding or "", _KNOW_WORDS),
        )


_KNOW_TEXTS = "give them texts (a title, or embedding.columns)"
_KNOW_WORDS = (
    f"{_KNOW_TEXTS}, or take embedding.name=minilm, which knows words that are rare in the catalog"
)
_KNOW_MORE = {
    "minilm": _KNOW_TEXTS,
    "huggingface": _KNOW_TEXTS,
    "co-occurrence": "give them texts and take embedding.name=tfidf-svd, or leave out items that "
    "nobody takes",
    "file": "give them vectors in the file of embedding.file",
}
"""What is done about items of which an embedding knows nothing, by its name."""


def _repeated_vectors(judged: Judged) -> Iterator[QualityWarning]:
    repeated = judged.repeated_vectors or 0
    if repeated > MANY_REPEATED * judged.use.num_items:
        yield QualityWarning(
            f"{judged.share(repeated)} have the vector of an earlier item: no quantizer can tell "
            "them apart",
            _TELL_APART.get(
                judged.made_by.embedding or "",
                "add texts that tell items apart (embedding.columns), or give vectors of your own "
                "(embedding.name=file)",
            ),
        )


_TELL_APART = {
    "co-occurrence": "give items texts and take embedding.name=tfidf-svd, or give vectors of your "
    "own (embedding.name=file)",
    "file": "give the file of embedding.file vectors that tell items apart",
}
"""What is done about equal vectors, by the embedding's name."""


def _codebook_larger_than_catalog(judged: Judged) -> Iterator[QualityWarning]:
    use = judged.use
    if _is_codebook_too_large(use):
        yield QualityWarning(
            f"a codebook of {use.codebook_size:,} is larger than the catalog of "
            f"{use.num_items:,} items: every item can have a first code of its own, which it "
            "shares with no similar item",
            MAKE_CODES
            if judged.is_published
            else f"lower quantizer.codebook_size to {_fitting_codebook_size(use)}",
        )


def _is_codebook_too_large(use: CodeUse) -> bool:
    return use.codebook_size > use.num_items and use.num_meaningful_levels > 1


def _fitting_codebook_size(use: CodeUse) -> int:
    """The largest power of two with 4 items or more a first code that still names every item."""
    size = 2
    while size * 2 <= use.num_items / 4 or size**use.num_meaningful_levels < use.num_items:
        size *= 2
    return size


def _uneven_use(judged: Judged) -> Iterator[QualityWarning]:
    use = judged.use
    found = [
        f"level {level} (perplexity {use.levels[level - 1].perplexity:.1f} of {_available(use):,}, "
        f"{use.levels[level - 1].most_used_items / use.num_items:.1%} of the items on one code)"
        for level in range(1, _decided_level(use) + 1)
        if _is_uneven(use, level)
    ]
    if found:
        yield QualityWarning("few codes do the work at " + ", ".join(found), _even_use(judged))


def _is_uneven(use: CodeUse, level: int) -> bool:
    figures, available = use.levels[level - 1], _available(use)
    large = use.num_items * max(LARGE_SHARE, 2 / available)
    return figures.perplexity < LOW_PERPLEXITY * available or figures.most_used_items > large


def _available(use: CodeUse) -> int:
    """Codes that a level can use: no more than there are items."""
    return min(use.codebook_size, use.num_items)


def _even_use(judged: Judged) -> str:
    use, made_by = judged.use, judged.made_by
    if judged.is_published:
        return f"{MAKE_CODES}, and --set quantizer.balanced=true if they are uneven too"
    remedies = []
    if made_by.quantizer != "rq-kmeans":
        remedies.append("with quantizer.name=rq-vae raise quantizer.epochs or take rq-kmeans")
    if not made_by.balanced:
        remedies.append("quantizer.balanced=true evens the use")
    if use.num_items < SMALL_CATALOG * use.codebook_size:
        each = use.num_items / use.codebook_size
        remedies.append(
            f"lower quantizer.codebook_size from {use.codebook_size}: {each:.1f} items a code are "
            "few to split again"
        )
    return "; ".join(remedies) or (
        "take vectors that tell items apart (embedding.columns, or another embedding.name)"
    )


def _collisions(judged: Judged) -> Iterator[QualityWarning]:
    use = judged.use
    colliding = use.num_items - use.meaningful_ids
    if colliding <= MANY_COLLISIONS * use.num_items:
        return
    if use.colliding_items <= MANY_COLLISIONS * use.num_items:
        yield QualityWarning(
            f"{judged.share(colliding)} are told apart only by the suffix, which says nothing "
            "about them",
            _tell_apart(judged, "collisions=reassign"),
        )
    else:
        yield QualityWarning(
            f"{judged.share(colliding)} have the ID of an earlier item, up to "
            f"{use.largest_group:,} on one ID: no score can tell these apart",
            _tell_apart(judged, "collisions=reassign", "collisions=suffix"),
        )


def _tell_apart(judged: Judged, *rules: str) -> str:
    """Larger sizes, and the collision rules, but for the one that was taken."""
    if judged.is_published:
        return MAKE_CODES
    use = judged.use
    finer = (
        f"raise quantizer.num_levels from {use.num_meaningful_levels} or quantizer.codebook_size "
        f"from {use.codebook_size}"
    )
    others = [rule for rule in rules if rule != f"collisions={judged.made_by.collisions}"]
    return f"{finer}, or use {' or '.join(others)}" if others else finer


def _decided_level(use: CodeUse) -> int:
    """The first level with almost unique prefixes; the last meaningful one where there is none."""
    for level, figures in enumerate(use.levels[: use.num_meaningful_levels], start=1):
        if figures.distinct_prefixes >= ALMOST_UNIQUE * use.num_items:
            return level
    return use.num_meaningful_levels


def _decided_early(judged: Judged) -> Iterator[QualityWarning]:
    use = judged.use
    level = _decided_level(use)
    left = use.num_meaningful_levels - level
    if left < LEVELS_LEFT or _is_codebook_too_large(use):
        return
    prefixes = use.levels[level - 1].distinct_prefixes
    first = "the first code" if level == 1 else f"the first {level} codes"
    yield QualityWarning(
        f"{first} already tell {prefixes:,} of {use.num_items:,} items apart: beam search "
        f"chooses items there, before the other {left} levels are scored, and these are steps "
        "without a choice",
        MAKE_CODES
        if judged.is_published
        else f"lower quantizer.codebook_size from {use.codebook_size}, so that similar items share "
        f"prefixes, or quantizer.num_levels to {level + 1}",
    )


def _useless_levels(judged: Judged) -> Iterator[QualityWarning]:
    use = judged.use
    for level in range(2, _decided_level(use) + 1):
        before = use.levels[level - 2].distinct_prefixes
        new = use.levels[level - 1].distinct_prefixes - before
        if new >= SMALL_GAIN * before or _is_uneven(use, level):  # uneven use is warned of above
            continue
        figures = f"{new:,} new prefixes"
        if judged.variance is not None:
            fall = judged.variance[level - 2].error - judged.variance[level - 1].error
            if fall >= SMALL_GAIN:
                continue
            figures += f", {fall:.1%} less of the variance left"
        yield QualityWarning(
            f"level {level} adds hardly anything: {figures}",
            MAKE_CODES
            if judged.is_published
            else f"lower quantizer.num_levels from {use.num_meaningful_levels}: "
            "each level is a step of beam search",
        )


def _neighbours_do_not_share(judged: Judged) -> Iterator[QualityWarning]:
    near = judged.neighbourhood
    if near is None or near.num_neighbours > LARGE_NEIGHBOURHOOD * near.num_items:
        return
    first = near.lengths[0]
    if first.lift is None or first.lift >= LOW_LIFT:
        return
    if first.neighbours - first.random_pairs < LOW_EXCESS * (1 - first.random_pairs):
        yield QualityWarning(
            f"similar items do not share codes: {first.neighbours:.2%} of nearest neighbours have "
            f"the same first code, {first.random_pairs:.2%} of random pairs do "
            f"(lift {first.lift:.2f})",
            "check that codes and vectors are of the same items in the same order; else "
            + _fit_again(judged.made_by),
        )


def _fit_again(made_by: MadeBy) -> str:
    if made_by.quantizer is None:
        return MAKE_CODES
    if made_by.quantizer != "rq-kmeans":
        return "fit with quantizer.name=rq-kmeans, or raise quantizer.epochs of rq-vae"
    other = "take another embedding.name"
    return f"set quantizer.balanced=false, or {other}" if made_by.balanced else other


RULES: tuple[Callable[[Judged], Iterator[QualityWarning]], ...] = (
    _neighbours_do_not_share,
    _zero_vectors,
    _repeated_vectors,
    _codebook_larger_than_catalog,
    _collisions,
    _decided_early,
    _uneven_use,
    _useless_levels,
)

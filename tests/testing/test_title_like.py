from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise.testing.title_like import QUOTE, title_like_catalog


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_titles_are_quoted_words_of_which_most_tokens_are_forced(seed: int) -> None:
    catalog = title_like_catalog(seed)
    paths = [[t for t in path if t >= 0] for path in catalog.leaf_tokens.tolist()]
    assert all(path[0] == path[-2] == QUOTE and path[-1] == catalog.end_token for path in paths)
    assert len({len(path) for path in paths}) > 1
    assert catalog.path_shape.mean_branchings < catalog.path_shape.mean_tokens / 1.5


def test_tokens_are_spread_over_the_vocabulary() -> None:
    catalog = title_like_catalog(0, vocab_size=1000)
    assert catalog.vocab_size == 1000
    assert int(catalog.leaf_tokens.max()) > 500

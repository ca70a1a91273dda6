import pytest
import torch

from beamwise import Catalog
from beamwise.decoding.eligibility import ListedItems
from beamwise.decoding.request import SearchRequest, widths_by_level
from beamwise.testing.table_backbone import TableBackbone

CATALOG = Catalog.from_tokens(torch.tensor([[2, 5, 8], [2, 6, 8], [3, 5, 9]]))
TITLES = Catalog.from_tokens(torch.tensor([[2, 5], [3, 0]]), lengths=[2, 1])


def request(**changes):
    arguments = {
        "backbone": TableBackbone(CATALOG.vocab_size),
        "histories": torch.tensor([[0, 1], [2, -1]]),
        "catalog": CATALOG,
        "top_k": 2,
        "mask": "after",
        "eligible": None,
    }
    return SearchRequest(**(arguments | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"histories": torch.tensor([0, 1])}, r"histories must be int64 of shape"),
        ({"histories": torch.tensor([[0.5]])}, r"got torch.float32 of shape \(1, 1\)"),
        ({"histories": torch.tensor([[3]])}, r"item indices 0\.\.2 or -1 for padding, got 3"),
        ({"histories": torch.tensor([[-2]])}, r"got -2"),
        ({"top_k": 0}, r"top_k must be >= 1, got 0"),
        ({"mask": "during"}, r"mask must be one of after, before, got 'during'"),
        ({"eligible": torch.ones(2, dtype=torch.bool)}, r"bool of shape \(3,\) or \(2, 3\)"),
        ({"eligible": torch.ones(3)}, r"got torch.float32"),
        ({"backbone": TableBackbone(4)}, r"scores 4 tokens, the catalog has 10"),
    ],
)
def test_wrong_arguments_get_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        request(**changes)
    assert "\n" not in str(error.value)


def test_no_users_and_eligibility_by_user_are_accepted():
    assert len(request(histories=torch.zeros(0, 4, dtype=torch.int64)).histories) == 0
    assert request(eligible=torch.ones(2, 3, dtype=torch.bool)).eligible is not None


def test_one_width_serves_every_level_and_top_k_defaults_to_the_last():
    assert widths_by_level(4, None, CATALOG) == ((4, 4, 4), 4)
    assert widths_by_level([9, 5, 3], None, CATALOG) == ((9, 5, 3), 3)
    assert widths_by_level([9, 5, 3], 2, CATALOG) == ((9, 5, 3), 2)


@pytest.mark.parametrize(
    ("widths", "top_k", "message"),
    [
        ([4, 4], None, "one int or 3 ints, one a level of the catalog, got 2"),
        (0, None, "beam_width must be >= 1, got 0"),
        ([3, 0, 3], None, "beam_width must be >= 1, got 0"),
        (3, 4, r"top_k must be in 1\.\.3, the last beam_width, got 4"),
    ],
)
def test_wrong_widths_get_one_line(widths, top_k, message):
    with pytest.raises(ValueError, match=message):
        widths_by_level(widths, top_k, CATALOG)


def test_titles_of_different_lengths_hold_no_place_in_the_last_beam():
    assert widths_by_level(1, 2, TITLES) == ((1, 1, 1), 2)


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (torch.tensor([[0]]), r"int64 of shape \(2, n\), one row a user, .* of shape \(1, 1\)"),
        (torch.tensor([[0.0], [1.0]]), r"got torch.float32"),
        (torch.tensor([[0], [3]]), r"item indices 0\.\.2 or -1 for padding, got 3"),
        (torch.tensor([[0], [-2]]), r"got -2"),
        (torch.zeros(2, 1, dtype=torch.int64, device="meta"), "listed items are on meta"),
    ],
)
def test_wrong_lists_get_one_line(listed, message):
    with pytest.raises(ValueError, match=message):
        request(eligible=ListedItems(listed, only=False))

import pytest
import torch

from beamwise import Catalog
from beamwise.backbones.base import PrefixNodes, pack_histories

CATALOG = Catalog.from_tokens([[5, 6, 7], [8, 0, 0], [5, 9, 0]], lengths=[3, 1, 2])


def test_items_of_any_length_lie_end_to_end():
    history = pack_histories(torch.tensor([[0, 1, 2], [1, 1, -1]]), CATALOG, last_token=1)
    assert history.tokens.tolist() == [[5, 6, 7, 8, 5, 9, 1], [8, 8, 1, 0, 0, 0, 0]]
    assert history.lengths.tolist() == [7, 3]


def test_an_empty_history_is_the_last_token_alone():
    history = pack_histories(torch.tensor([[-1, -1]]), CATALOG, last_token=4)
    assert history.tokens.tolist() == [[4]]
    assert history.lengths.tolist() == [1]


def test_only_the_empty_history_is_closed_where_that_is_asked():
    items = torch.tensor([[0, 1], [1, -1], [-1, -1]])
    history = pack_histories(items, CATALOG, last_token=4, closes_all=False)
    assert history.tokens.tolist() == [[5, 6, 7, 8], [8, 0, 0, 0], [4, 0, 0, 0]]
    assert history.lengths.tolist() == [4, 1, 1]


def test_padding_may_stand_anywhere():
    history = pack_histories(torch.tensor([[-1, 1, -1, 2]]), CATALOG, last_token=1)
    assert history.tokens.tolist() == [[8, 5, 9, 1]]


def test_unknown_items_are_refused():
    with pytest.raises(ValueError, match=r"item index 3, the catalog has items 0\.\.2"):
        pack_histories(torch.tensor([[3]]), CATALOG, last_token=1)


def test_depth_bounds_come_from_the_depths_unless_promised():
    parents, depth = torch.tensor([[-1, 0, 1]]), torch.tensor([[0, 1, 2]])
    nodes = PrefixNodes(parents + 1, parents, depth, torch.ones_like(depth))
    assert nodes.depth_bounds() == (0, 0, 0)
    promised = PrefixNodes(parents + 1, parents, depth, torch.ones_like(depth), (0, 1, 2))
    assert promised.depth_bounds() == (0, 1, 2)

"""Whether timestamps are times."""

import numpy as np
import polars as pl
import pytest
import torch

from beamwise.data.user_sequences import Sequences, are_positions, check_times


@pytest.mark.parametrize(
    ("times", "expected"),
    [([0, 1, 2, 0, 1], True), ([0, 1, 2, 1, 2], False), ([5, 6, 7, 0, 1], False)],
)
def test_places_in_lists_are_no_times(times, expected):
    starts = np.array([0, 3, 5])
    assert are_positions(np.array(times), starts) is expected
    items = torch.arange(5, dtype=torch.int32)
    users = pl.Series(["a", "b"])
    sequences = Sequences(users, items, torch.from_numpy(starts), torch.tensor(times))
    if not expected:
        return check_times(sequences)
    with pytest.raises(ValueError, match="the data have no times"):
        check_times(sequences)
    return None

"""What processes found is put together in the order of their ranks."""

from __future__ import annotations

from unittest import mock

from beamwise.evaluation import processes
from beamwise.evaluation.processes import gather, place


def test_alone():
    assert place() == (0, 1)
    assert gather("mine") == ["mine"]


def test_of_several_the_answers_come_by_rank():
    # Real processes are in the tests of what uses this.
    def all_gather(gathered, mine):
        gathered[:] = ["first", mine]

    group = mock.Mock()
    group.get_rank.return_value, group.get_world_size.return_value = 1, 2
    group.all_gather_object.side_effect = all_gather
    with mock.patch.object(processes, "dist", group):
        assert place() == (1, 2)
        assert gather("second") == ["first", "second"]

import os

import pytest
import torch
from accelerate import Accelerator

from beamwise.testing.processes import run_together


def _summed(number):
    accelerator = Accelerator()
    rank = accelerator.process_index
    assert os.environ["RANK"] == str(rank)
    return rank, float(accelerator.reduce(torch.tensor(float(number + rank))))


@pytest.mark.slow
def test_processes_meet_and_answer_by_rank():
    assert run_together(_summed, 10) == [(0, 21.0), (1, 21.0)]

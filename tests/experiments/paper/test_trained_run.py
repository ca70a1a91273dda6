"""What the training of a run took."""

from dataclasses import replace

from beamwise.experiments.paper.trained_run import TrainedRun, machine
from beamwise.training.provenance import provenance


def test_a_run_that_reached_its_limit_is_capped():
    run = TrainedRun(4, 5, 2, 40.0, ("a machine",), None)
    assert (run.is_capped, run.epoch_seconds) == (False, 10.0)
    assert replace(run, epochs=5).is_capped
    assert replace(run, seconds=None).epoch_seconds is None


def test_a_machine_is_its_processor_and_cores_or_its_accelerator():
    here = replace(provenance(), device="cpu", processor="A processor", threads=1, cores=8)
    assert machine(here) == "A processor, 1 of 8 cores"
    assert machine(replace(here, version="other", source="other", commit="x")) == machine(here)
    assert machine(replace(here, device="NVIDIA H200")) == "NVIDIA H200"

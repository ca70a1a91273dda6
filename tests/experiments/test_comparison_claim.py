"""One process a run; a claim ends with its process."""

import subprocess
import sys

from beamwise.experiments.comparison_claim import claimed


def test_only_one_has_a_run_at_a_time(tmp_path):
    with claimed(tmp_path / "ce" / "seed-0") as first:
        assert first
        with claimed(tmp_path / "ce" / "seed-0") as second, claimed(tmp_path / "seed-1") as other:
            assert not second
            assert other
    with claimed(tmp_path / "ce" / "seed-0") as again:
        assert again


def test_a_killed_process_leaves_no_claim(tmp_path):
    code = (
        "import sys, pathlib, time\n"
        "from beamwise.experiments.comparison_claim import claimed\n"
        "with claimed(pathlib.Path(sys.argv[1])) as ours: print(ours, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        with claimed(tmp_path / "run") as ours:
            assert not ours
        process.kill()
    with claimed(tmp_path / "run") as ours:
        assert ours

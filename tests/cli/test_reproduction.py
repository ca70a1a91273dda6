"""What experiments share on the command line: options that fit, commands of an archive."""

from pathlib import Path

import pytest

from beamwise.cli import reproduction
from beamwise.cli.reproduction import Asked, chosen_options, write_archive
from beamwise.experiments.archive import PackSummary
from beamwise.experiments.comparison_runner import Budget
from beamwise.experiments.paper.experiments import EXPERIMENTS
from beamwise.experiments.paper.setting import Setting


def asked(**changes):
    nothing = dict.fromkeys(Asked.__dataclass_fields__)
    lists = {"experiments": ("table1",), "settings": (), "methods": (), "seeds": ()}
    lists |= {"datasets": (), "backbones": (), "budget": Budget()}
    flags = dict.fromkeys(("plan", "report", "show_settings", "json"), False)
    return Asked(**(nothing | lists | flags | changes))


def test_options_that_mean_nothing_here_are_refused():
    given = {"dataset": ("office", "beauty"), "size": None, "from": None}
    with pytest.raises(ValueError, match=r"^--dataset office,beauty is for tables$"):
        asked().refuse(given, "for tables")
    with pytest.raises(ValueError, match=r"^--plan is for tables$"):
        asked().refuse({"report": False, "plan": True}, "for tables")
    with pytest.raises(ValueError, match=r"^--seeds 0 is for tables$"):
        asked().refuse({"seeds": "0"}, "for tables")
    asked().refuse({"dataset": (), "size": None, "budget": "", "plan": False}, "for tables")


def test_a_store_must_be_named():
    assert asked(out=Path("runs")).store == Path("runs")
    with pytest.raises(ValueError, match="--out is not set"):
        asked().store  # noqa: B018


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, []),
        ({"seeds": 3}, ["--seeds", "3"]),
        ({"seeds": (3,)}, ["--seeds", "3,"]),  # the number, not how many
        ({"seeds": (0, 2), "methods": ("ce", "msl")}, ["--seeds", "0,2", "--methods", "ce,msl"]),
        ({"settings": ("a=1", "b=[1, 2]")}, ["--set", "a=1", "--set", "b=[1, 2]"]),
    ],
)
def test_what_was_chosen_is_written_as_options(changes, options):
    assert chosen_options(asked(**changes)) == options


def test_an_archive_takes_wheels_and_what_the_store_has(tmp_path, monkeypatch, capsys):
    given = {}

    def pack(archive, **arguments):
        given.update(arguments)
        found = (("office",), ("a", "b"), ("c: damaged",), ("'beamwise[text]'",))
        return PackSummary(archive, 3 * 2**20, *found)

    monkeypatch.setattr(reproduction, "pack", pack)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    question = asked(archive=tmp_path / "gpu.tar", wheels=wheels, out=tmp_path / "none")
    with pytest.raises(ValueError, match=r"holds no file that ends with \.whl"):
        write_archive(question, [], [], {})
    (wheels / "x.whl").write_text("")
    data = {"office": tmp_path}
    comparison = EXPERIMENTS["table1"].comparison(Setting("office", "tiger"))
    assert write_archive(question, [["reproduce", "table1"]], [comparison], data, ("p",)) == 0
    assert given["comparisons"] == [comparison]
    assert given["wheels"] == (wheels / "x.whl",)
    assert (given["store"], given["parts"]) == (None, ("p",))
    told = capsys.readouterr().err
    assert "not packed: c: damaged" in told
    assert "the runs need what `pip install 'beamwise[text]'` brings: there, or as wheels" in told
    assert "3.0 MiB with 2 runs in" in told

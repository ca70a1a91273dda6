"""The demo from the command line, tiny."""

import json

import pytest

TINY = (
    "shop.num_users=40",
    "shop.num_items=200",
    "backbone.dim=8",
    "backbone.num_encoder_layers=1",
    "backbone.num_decoder_layers=1",
    "backbone.feedforward_dim=8",
    "training.epochs=1",
    "negatives.count=4",
)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "out"


def demo(beamwise, out, *arguments):
    settings = [part for setting in TINY for part in ("--set", setting)]
    return beamwise("demo", "--out", out, *settings, *arguments)


def test_it_compares_recommends_and_says_what_is_next(beamwise, out):
    outcome = demo(beamwise, out)
    assert outcome.status == 0
    assert "ce: of " in outcome.out
    assert "apao-pairwise: of " in outcome.out
    assert outcome.out.count("bought last: ") == 2
    assert f"drew what the beam lost: {out / 'effect.png'}" in outcome.out
    commands = [line.split() for line in outcome.out.split("next:")[1].strip().splitlines()]
    for command in commands:
        assert command[0] == "beamwise"
    recommend = next(command for command in commands if command[1] == "recommend")
    assert beamwise(*recommend[1:]).status == 0


def test_json_is_a_line_an_objective(beamwise, out):
    lines = [json.loads(line) for line in demo(beamwise, out, "--json").out.splitlines()]
    assert [line["objective"] for line in lines] == ["ce", "apao-pairwise"]
    for line in lines:
        survival, summary = line["survival"]["counts"], line["summary"]
        found = survival["found"] + survival["promoted"]
        assert summary["recall@10"] == pytest.approx(found / summary["users"])


def test_a_seed_replaces_the_demo(beamwise, tmp_path):
    one = ("--set", "objectives=[{name: ce}]", "--json")
    results = [
        json.loads(demo(beamwise, tmp_path / "demo", *one, "--seed", seed).out) for seed in (1, 2)
    ]
    assert results[0]["summary"] != results[1]["summary"]


def test_foreign_folders_and_unknown_settings_are_refused(beamwise, tmp_path):
    (tmp_path / "thesis.txt").write_text("do not lose")
    assert "not the folder of a demo" in demo(beamwise, tmp_path).complaint
    unknown = demo(beamwise, tmp_path, "--set", "shop.users=3")
    assert "unknown setting 'shop.users'" in unknown.complaint


def test_a_seed_that_is_none_leaves_nothing(beamwise, tmp_path):
    outcome = beamwise("demo", "--out", tmp_path / "out", "--seed", -1)
    assert "shop.seed" in outcome.complaint
    assert not (tmp_path / "out").exists()

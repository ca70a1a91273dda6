"""The beam of one user as tables, JSON and a page; and everything that cannot be asked."""

import html
import json
import re
import shutil

import pytest

from beamwise.training.run import open_run


def test_a_user_as_json_and_as_a_page(beamwise, tiny, tmp_path):
    page = tmp_path / "new" / "beam.html"
    outcome = beamwise(
        "inspect", tiny / "run", "--user", "user-0003", "--beam-width", 4, "--top-k", 3,
        "--mask", "before", "--split", "validation", "--show", 2, "--json", "--html", page,
    )  # fmt: skip
    found = json.loads(outcome.out)
    assert (found["user_id"], found["split"], found["mask"]) == (
        "user-0003",
        "validation",
        "before",
    )
    assert [len(level["survivors"]) for level in found["levels"][:2]] == [4, 4]
    assert len([each for each in found["results"] if each["exact_rank"]]) == 3
    assert outcome.err == f"wrote {page}\n"
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_tables_show_every_level_and_the_verdict(beamwise, tiny):
    outcome = beamwise("inspect", tiny / "run", "--user", "user-0003", "--beam-width", 3)
    levels = open_run(tiny / "run").catalog.num_levels
    for text in (
        f"level 1 of {levels}: 1 prefix expanded",
        f"level {levels} of {levels}: ",
        "what the beam and exact search return",
    ):
        assert text in outcome.out
    assert "the target" in outcome.out.splitlines()[-2].lower()
    assert "exact top 3" in outcome.out.splitlines()[-1]


def test_a_history_with_a_target(beamwise, tiny):
    ask = ("inspect", tiny / "run", "--history", "item-0003, item-0007", "--json")
    found = json.loads(beamwise(*ask, "--target", "item-0100").out)
    assert [item["item_id"] for item in found["history"]] == ["item-0003", "item-0007"]
    assert found["target"]["item_id"] == "item-0100"
    new = json.loads(beamwise("inspect", tiny / "run", "--history", "", "--json").out)
    assert new["history"] == []


def test_titles_are_followed_token_by_token(beamwise, titled, tmp_path):
    page = tmp_path / "beam.html"
    ask = ("inspect", titled / "run", "--user", "user-0003", "--beam-width", 3)
    outcome = beamwise(*ask, "--html", page)
    assert outcome.status == 0
    assert outcome.err == f"wrote {page}\n"
    assert not re.search(r"\blevels?\b", outcome.out)
    found = json.loads(beamwise(*ask, "--json").out)
    text = " ".join(outcome.out.split())
    first, *_, last = found["levels"]
    title = found["target"]["title"]
    assert f"item-0010 {title}" in text
    assert "tokens where a prefix has a choice; forced ones are read with the one before" in text
    assert f"token {first['number']}: 1 prefix expanded, {first['num_candidates']} scored" in text
    assert f"{first['number'] + 1} to {first['until']} are forced" in text
    assert f"whole items: {last['num_candidates']} reached by forced tokens, 3 returned" in text
    [at] = [level["number"] for level in found["levels"] if level["target"]["state"] == "pruned"]
    *_, on_target, on_beam = outcome.out.splitlines()
    assert on_target.startswith(f"The beam lost the target, {title}, at token {at}: its prefix is")
    assert on_beam.startswith("Of the exact top 3 the beam returns")
    for prefix in first["survivors"]:  # a beginning of words, as it reads, and titles that have it
        assert prefix["text"].endswith("…")
        assert all(
            item["title"].startswith(prefix["text"].removesuffix("…"))
            for item in prefix["examples"]
        )
        assert prefix["text"] in text
    for result in found["results"]:
        assert result["title"] in text
        assert result["title"] in html.unescape(page.read_text(encoding="utf-8"))


def test_unknown_items_are_refused_or_named(beamwise, tiny):
    ask = ("inspect", tiny / "run", "--history", "item-0003,no,nor", "--json")
    assert "2 item id(s) not in the catalog: 'no', 'nor'" in beamwise(*ask).complaint
    outcome = beamwise(*ask, "--skip-unknown")
    assert outcome.err == "left out, unknown to the catalog: no, nor\n"
    assert json.loads(outcome.out)["skipped"] == ["no", "nor"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "give a user or a history, got neither"),
        (("--user", "user-0001", "--history", "item-0001"), "got both"),
        (("--user", "user-0001", "--target", "item-0001"), "a target belongs to a history"),
        (("--user", "nobody"), "no user 'nobody'"),
        (("--history", "", "--target", "nothing"), "'nothing'"),
        (("--history", "", "--top-k", 0), "top_k"),
        (("--history", "", "--top-k", 201), "top_k must be in 1..200"),
        (("--history", "", "--top-k", 7, "--beam-width", 5), "widen the beam"),
        (("--history", "", "--beam-width", 0), "beam_width"),
        (("--history", "", "--show", 0), "--show must be >= 1"),
        (("--history", "", "--html", "."), "is a folder"),
        (("--history", "", "--catalog", "codes.csv"), "--catalog belongs to --model"),
        (("--history", "", "--codebook-size", 0), "--codebook-size belongs to --model"),
        (("--history", "", "--max-history", 5), "--max-history belongs to --model"),
        (("--history", "", "--model", "somewhere"), "give a run folder or --model, got both"),
        (("--history", "", "--data", "nowhere"), "no dataset folder at nowhere"),
    ],
)
def test_bad_arguments_are_named(beamwise, tiny, arguments, complaint):
    assert complaint in beamwise("inspect", tiny / "run", *arguments).complaint


def test_no_run_and_a_catalog_that_does_not_match(beamwise, tiny, fitted, run):
    assert (
        "give a run folder or --model, got neither" in beamwise("inspect", "--user", "a").complaint
    )
    assert "no run folder at" in beamwise("inspect", "nowhere", "--user", "a").complaint
    other = ("--data", fitted / "data", "--user", "user-0003")
    assert "tokenize it like the run's data" in beamwise("inspect", tiny / "run", *other).complaint
    shutil.copy(fitted / "data" / "catalog" / "tokens.parquet", run / "catalog")
    assert beamwise("inspect", run, "--user", "user-0003").complaint


def test_a_foreign_model_is_the_run_that_it_came_from(beamwise, tiny, foreign):
    whom = ("--user", "user-0003", "--json", "--beam-width", 10)
    found = json.loads(beamwise(
        "inspect", "--model", foreign, "--catalog", tiny / "data" / "catalog",
        "--data", tiny / "data", *whom,
    ).out)  # fmt: skip
    assert found == json.loads(beamwise("inspect", tiny / "run", *whom).out)


def test_how_much_a_foreign_model_reads(beamwise, tiny, foreign):
    ask = (
        "inspect", "--model", foreign, "--catalog", tiny / "data" / "catalog",
        "--data", tiny / "data", "--user", "user-0003", "--max-history", 3,
    )  # fmt: skip
    found = json.loads(beamwise(*ask, "--json").out)
    assert (found["max_history"], len(found["history"])) == (3, 3)
    assert found["num_unread"] > 0
    assert "user user-0003, test target, leave-one-out" in beamwise(*ask).out


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"--catalog": None}, "catalog"),
        ({"--data": None}, "data"),
        ({"--model": "nowhere"}, "nowhere is no model folder"),
        ({"--catalog": "nowhere.csv"}, "nowhere.csv"),
        ({"--codebook-size": 0}, "codebook_size"),
        ({"--max-history": 0}, "max_history"),
    ],
)
def test_a_foreign_model_that_cannot_be_opened(beamwise, tiny, foreign, changes, complaint):
    given = {
        "--model": foreign, "--catalog": tiny / "data" / "catalog", "--data": tiny / "data"
    } | changes  # fmt: skip
    options = [part for pair in given.items() if pair[1] is not None for part in pair]
    assert complaint in beamwise("inspect", *options, "--user", "user-0003").complaint

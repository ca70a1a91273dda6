"""Recommendations for histories in every form, as tables and as JSON lines."""

import json
import math
import shutil

import pytest

from beamwise.serving import load
from beamwise.testing.tiny_run import TWINS
from beamwise.training.run import open_run


@pytest.fixture(scope="module")
def recommender(tiny):
    return load(tiny / "run", device="cpu")


def answers(text):
    return [json.loads(line) for line in text.splitlines()]


def test_ids_titles_and_a_user_give_the_same(beamwise, tiny, recommender):
    history = recommender.history_of_user("user-0003")
    titles = [part for t in recommender.titles_of(history) for part in ("--titles", t.lower())]
    run = tiny / "run"
    found = [
        answers(beamwise("recommend", run, *form, "--json", "--top-k", 3).out)[0]
        for form in (("--history", ", ".join(history)), titles, ("--user", "user-0003"))
    ]
    expected = [item._asdict() for item in recommender.recommend([history], top_k=3)[0]]
    assert [answer["recommendations"] for answer in found] == [expected] * 3
    assert [answer.get("user_id") for answer in found] == [None, None, "user-0003"]


def test_a_table_shows_titles_and_log_probabilities(beamwise, tiny, recommender):
    outcome = beamwise("recommend", tiny / "run", "--history", "item-0003", "--top-k", 2)
    for item in recommender.recommend([["item-0003"]], top_k=2)[0]:
        assert item.title in outcome.out
        assert f"{item.log_prob:.3f}" in outcome.out


def test_exact_items_are_those_of_an_exact_recommender(beamwise, tiny, recommender):
    outcome = beamwise("recommend", tiny / "run", "--history", "item-0001", "--exact", "--json")
    expected = recommender.recommend([["item-0001"]], top_k=10, exact=True)[0]
    found = answers(outcome.out)[0]["recommendations"]
    assert [item["item_id"] for item in found] == [item.item_id for item in expected]


def test_an_empty_history_is_a_new_user(beamwise, tiny):
    answer = answers(beamwise("recommend", tiny / "run", "--history", "", "--json").out)[0]
    assert answer["history"] == []
    assert len(answer["recommendations"]) == 10


def test_a_file_is_answered_line_by_line(beamwise, tiny, recommender, tmp_path):
    file, out = tmp_path / "histories.jsonl", tmp_path / "new" / "out.jsonl"
    file.write_text('["item-0001"]\n\n{"user_id": "ann", "history": ["item-0002", "item-0003"]}\n')
    assert beamwise("recommend", tiny / "run", "--file", file, "--out", out).out == ""
    written = answers(out.read_text())
    assert [answer["history"] for answer in written] == [["item-0001"], ["item-0002", "item-0003"]]
    assert written[1]["user_id"] == "ann"
    expected = recommender.recommend([a["history"] for a in written])
    ids = [[item["item_id"] for item in answer["recommendations"]] for answer in written]
    assert ids == [[item.item_id for item in row] for row in expected]
    assert [path.name for path in out.parent.iterdir()] == ["out.jsonl"]


def test_unknown_items_are_named_or_skipped(beamwise, tiny):
    command = ("recommend", tiny / "run", "--history", "item-0001,nothing", "--json")
    assert "'nothing'" in beamwise(*command).complaint
    outcome = beamwise(*command, "--skip-unknown")
    assert outcome.status == 0
    assert outcome.err == "history: left out, unknown to the catalog: 'nothing'\n"
    assert len(answers(outcome.out)[0]["recommendations"]) == 10


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "give one of --history, --titles, --user, --file; got none"),
        (("--history", "item-0001", "--user", "user-0001"), "got --history and --user"),
        (("--user", "nobody"), "no user 'nobody'"),
        (("--titles", "zzzz"), "no item has the title 'zzzz'"),
        (("--file", "nowhere.jsonl"), "no file at nowhere.jsonl"),
        (("--history", "item-0001", "--top-k", "0"), "top_k must be in 1..200"),
        (("--history", "item-0001", "--top-k", "201"), "top_k must be in 1..200"),
        (("--history", "item-0001", "--beam-width", "5"), "widen the beam"),
        (("--history", "item-0001", "--beam-width", "20", "--exact"), "not an exact one"),
    ],
)
def test_bad_arguments_are_named(beamwise, tiny, arguments, complaint):
    assert complaint in beamwise("recommend", tiny / "run", *arguments).complaint


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("[1, 2]", "line 2 is no history"),
        ('["item-0001"', "line 2 is not JSON"),
        ('{"items": []}', "line 2 is no history"),
        ('["nothing"]', "'nothing'"),
        ('["\\ud800"]', "line 2 is not JSON (UnicodeEncodeError)"),
        ('["\udcff"]', "line 2 is not JSON (UnicodeDecodeError)"),
        ("[" * 100_000, "line 2 is not JSON (RecursionError)"),
    ],
)
def test_a_bad_line_is_named_and_no_file_is_left(beamwise, tiny, tmp_path, line, complaint):
    file, out = tmp_path / "histories.jsonl", tmp_path / "new" / "out.jsonl"
    file.write_text(f'["item-0001"]\n{line}\n', errors="surrogateescape")
    outcome = beamwise("recommend", tiny / "run", "--file", file, "--out", out)
    assert complaint in outcome.complaint
    assert list(out.parent.iterdir()) == []


def test_a_folder_is_no_file_to_write(beamwise, tiny, tmp_path):
    command = ("recommend", tiny / "run", "--history", "item-0001", "--out", tmp_path)
    assert "is a folder" in beamwise(*command).complaint


def test_a_file_may_begin_with_a_mark_and_end_lines_with_two(beamwise, tiny, tmp_path):
    file = tmp_path / "histories.jsonl"
    file.write_bytes(b'\xef\xbb\xbf["item-0001"]\r\n\r\n["item-0002"]')
    written = answers(beamwise("recommend", tiny / "run", "--file", file, "--json").out)
    assert [answer["history"] for answer in written] == [["item-0001"], ["item-0002"]]


def test_new_and_retired_items_without_training(beamwise, fitted, tmp_path):
    later = shutil.copytree(fitted / "data", tmp_path / "later")
    run = fitted / "run"
    ask = ("recommend", run, "--history", "item-0003", "--json")
    best = answers(beamwise(*ask).out)[0]["recommendations"][0]["item_id"]
    title = load(run, device="cpu").run.items["title"][7]
    (tmp_path / "new.csv").write_text(f"item_id,title\nnew,{title}\n")
    (tmp_path / "gone.csv").write_text(f"item_id\n{best}\n")
    asked = ("--add", tmp_path / "new.csv", "--retire", tmp_path / "gone.csv")
    assert beamwise("tokenize", later, *asked).status == 0
    whole = answers(beamwise(*ask, "--data", later, "--top-k", 201).out)[0]["recommendations"]
    found = {item["item_id"]: item["title"] for item in whole}
    assert len(found) == 200
    assert best not in found
    assert found["new"] == title
    mixed = ("recommend", run, "--data", later, "--history", f"{best},new")
    assert beamwise(*mixed).status == 0
    assert "'new'" in beamwise("recommend", run, "--history", f"{best},new").complaint
    user = answers(beamwise("recommend", run, "--data", later, "--user", "user-0001", "--json").out)
    assert user[0]["user_id"] == "user-0001"


def test_data_of_another_tokenizer_are_refused(beamwise, fitted, tiny, tmp_path):
    ask = ("recommend", fitted / "run", "--history", "item-0003", "--data")
    assert "beamwise tokenize" in beamwise(*ask, tiny / "data").complaint
    assert "no dataset folder" in beamwise(*ask, tmp_path / "nothing").complaint


def test_unknown_ids_of_a_file_are_named_with_their_line(beamwise, run, tmp_path):
    path = tmp_path / "h.jsonl"
    path.write_text('["item-0001"]\n\n["item-0002", "zz"]\n')
    complaint = beamwise("recommend", run, "--file", path).complaint
    assert f"{path}, line 3: 1 item id(s) not in the catalog: 'zz'" in complaint
    assert beamwise("recommend", run, "--file", path, "--skip-unknown").status == 0


def test_items_of_the_history_can_be_left_out(beamwise, run):
    asked = ("recommend", run, "--json", "--top-k", 1)
    best = json.loads(beamwise(*asked, "--history", "item-0003").out)["recommendations"][0]
    own = ("--history", best["item_id"], "--top-k", 200, "--beam-width", 200)
    for flag, is_there in ((), True), (("--exclude-history",), False):
        found = json.loads(beamwise("recommend", run, "--json", *own, *flag).out)
        ids = [item["item_id"] for item in found["recommendations"]]
        assert (best["item_id"] in ids) == is_there
        assert len(ids) == 199 + is_there


def test_a_language_model_recommends_every_title_by_its_probability(beamwise, titled):
    titles = dict(open_run(titled / "run").items.select("item_id", "title").iter_rows())
    shared = titles[TWINS[0]]
    ask = ("recommend", titled / "run", "--titles", titles["item-0007"], "--titles", shared.upper())
    searches = (("--beam-width", 200), ("--exact",))
    beam, exact = (
        answers(beamwise(*ask, "--top-k", 200, "--json", *way).out)[0] for way in searches
    )
    assert beam["history"] == exact["history"] == ["item-0007", TWINS[0]]
    found = beam["recommendations"]
    assert {item["item_id"]: item["title"] for item in found} == titles
    assert [item["item_id"] for item in exact["recommendations"]] == [i["item_id"] for i in found]
    # Masked before the softmax, each token's distribution is over the catalog's titles alone.
    by_title = {item["title"]: item["log_prob"] for item in found}
    assert math.fsum(map(math.exp, by_title.values())) == pytest.approx(1, abs=1e-4)
    place = [item["item_id"] for item in found].index(TWINS[0])
    assert found[place + 1]["item_id"] == TWINS[1]
    shown = beamwise(*ask, "--top-k", place + 2, "--beam-width", 200).out.splitlines()
    rows = [line for line in shown if shared in line]
    assert all(f"{by_title[shared]:.3f}" in row for row in rows)
    assert all(item in row for item, row in zip(TWINS, rows, strict=True))


def test_only_some_items_and_never_others(beamwise, tiny, tmp_path):
    ask = ("recommend", tiny / "run", "--history", "item-0003", "--json")
    (tmp_path / "stock.txt").write_text("\ufeffitem-0007\r\n\nitem-0011\nitem-0100", "utf-8")
    outcome = beamwise(*ask, "--only", f"@{tmp_path / 'stock.txt'}", "--exclude", "item-0011, ")
    found = answers(outcome.out)[0]["recommendations"]
    assert {item["item_id"] for item in found} == {"item-0007", "item-0100"}
    assert "1 of 1 histories have fewer than 10 items" in outcome.err
    outcome = beamwise(*ask, "--only", "item-0007,a,b,c,d,e,f", "--skip-unknown")
    assert "--only, --exclude: left out, unknown to the catalog: 'a', " in outcome.err
    assert "'e' and 1 more" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--only", "item-0007", "--exclude", "item-0007"), "eligible and excluded leave none"),
        (("--only", "nothing"), "eligible: 1 item id(s) not in the catalog: 'nothing'"),
        (("--exclude", "nothing"), "excluded: 1 item id(s) not in the catalog: 'nothing'"),
        (("--only", " , "), "--only names no item"),
        (("--only", "@nowhere.txt"), "--only: no file at nowhere.txt"),
        (("--exclude", "@latin"), "--exclude: latin is not UTF-8 at byte 1"),
    ],
)
def test_lists_that_cannot_be_are_refused(
    beamwise, tiny, tmp_path, monkeypatch, arguments, complaint
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latin").write_bytes(b"K\xe4se")
    ask = ("recommend", tiny / "run", "--history", "item-0003")
    assert complaint in beamwise(*ask, *arguments).complaint

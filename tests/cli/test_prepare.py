"""Sources become dataset folders; bad input leaves nothing behind."""

import json

import pytest

from beamwise.data.dataset import Dataset
from beamwise.data.sources import SOURCES

SMALL = ("--set", "num_users=20", "--set", "num_items=200")


def write_triple(folder, inter=None, index=None):
    """A folder in the published format, of two users and three items where not said otherwise."""
    inter = {"7": [1, 2, 3, 1], "8": [2, 3]} if inter is None else inter
    index = {str(i): [f"<a_{i}>", "<b_0>"] for i in (1, 2, 3)} if index is None else index
    folder.mkdir()
    for name, content in (("X.inter.json", inter), ("X.index.json", index)):
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name).write_text(text)
    return folder


def test_the_shop_is_written_and_described(beamwise, tmp_path):
    out = tmp_path / "shop"
    outcome = beamwise("prepare", "simulated-shop", "--out", out, *SMALL, "--json")
    assert outcome.status == 0
    facts = json.loads(outcome.out)
    dataset = Dataset.load(out)
    assert (facts["users"], facts["items"]) == (20, 200)
    assert facts["interactions"] == len(dataset.interactions)
    # all but the first and the last two of every user
    assert facts["targets"]["training"] == len(dataset.interactions) - 3 * 20
    assert facts["folder"] == str(out)


def test_settings_reach_the_source(beamwise, tmp_path):
    for seed in (1, 2):
        beamwise(
            "prepare",
            "simulated-shop",
            "--out",
            tmp_path / str(seed),
            *SMALL,
            "--set",
            f"seed={seed}",
        )
    tables = [Dataset.load(tmp_path / str(seed)).interactions.table for seed in (1, 2)]
    assert not tables[0].equals(tables[1])


def test_a_folder_is_read_and_the_table_says_what_is_next(beamwise, tmp_path):
    folder = write_triple(tmp_path / "12")  # a name that YAML would read as a number
    outcome = beamwise("prepare", "semantic-id-json", folder, "--out", tmp_path / "out")
    assert outcome.status == 0
    assert f"beamwise tokenize {tmp_path / 'out'}" in outcome.out
    dataset = Dataset.load(tmp_path / "out")
    assert (dataset.interactions.num_users, len(dataset.items)) == (2, 3)


def test_published_counts(beamwise, tmp_path, data_folder):
    outcome = beamwise(
        "prepare", "semantic-id-json", data_folder / "office", "--out", tmp_path / "o", "--json"
    )
    facts = json.loads(outcome.out)
    assert facts["targets"]["training"] == 38_543
    assert "the same users, items and interactions as Office in Table 2" in facts["published"][0]


def test_only_what_is_ours_is_replaced(beamwise, tmp_path):
    (tmp_path / "thesis.txt").write_text("do not lose")
    command = ("prepare", "simulated-shop", "--out", tmp_path, *SMALL)
    assert "'thesis.txt'" in beamwise(*command).complaint
    assert beamwise(*command, "--overwrite").status == 0
    assert not (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"inter": "no json"}, "is not JSON"),
        ({"inter": '{"7": [1, 2'}, "is cut short"),
        ({"inter": {"7": [1, 9]}}, "item '9' of user '7' has no code"),
        ({"inter": {"7": []}}, "user '7' has an empty list"),
        ({"inter": {}}, "empty object"),
        ({"index": {"1": ["<a_1>"], "2": ["<a_1>", "<b_2>"], "3": ["<a_3>"]}}, "has 2 codes"),
        ({"index": {"1": ["a1"]}}, "has the code 'a1'"),
    ],
)
def test_bad_files_are_named_and_nothing_is_written(beamwise, tmp_path, files, complaint):
    folder = write_triple(tmp_path / "in", **files)
    outcome = beamwise("prepare", "semantic-id-json", folder, "--out", tmp_path / "out")
    assert complaint in outcome.complaint
    assert not (tmp_path / "out").exists()


def test_bad_arguments_are_named(beamwise, tmp_path):
    out = ("--out", tmp_path / "out")
    assert "did you mean 'simulated-shop'?" in beamwise("prepare", "simulated-shp", *out).complaint
    assert "choose one of" in beamwise("prepare", "xyz", *out).complaint
    assert (
        "no such folder" in beamwise("prepare", "semantic-id-json", tmp_path / "no", *out).complaint
    )
    assert "needs a folder" in beamwise("prepare", "semantic-id-json", *out).complaint
    assert (
        "reads no such file or folder" in beamwise("prepare", "simulated-shop", "x", *out).complaint
    )
    shop = ("prepare", "simulated-shop", *out, "--set")
    assert "did you mean 'num_users'?" in beamwise(*shop, "num_user=3").complaint
    assert "is not key.path=value" in beamwise(*shop, "num_users").complaint
    assert "num_items" in beamwise(*shop, "num_items=2").complaint
    assert list(tmp_path.iterdir()) == []


def test_settings_may_come_from_a_file(beamwise, tmp_path):
    (tmp_path / "shop.yaml").write_text("num_users: 30\nseed: 4\n")
    asked = ("--config", tmp_path / "shop.yaml", "--set", "seed=5", "--json")
    line = json.loads(beamwise("prepare", "simulated-shop", "--out", tmp_path / "a", *asked).out)
    assert line["users"] == 30


def test_data_prepared_again_lose_their_old_catalog(beamwise, tmp_path):
    again = ("prepare", "simulated-shop", "--out", tmp_path / "shop", "--set", "num_users=30")
    assert beamwise(*again).status == 0
    assert beamwise("tokenize", tmp_path / "shop").status == 0
    assert beamwise(*again).status == 0
    assert not (tmp_path / "shop" / "catalog").exists()
    (tmp_path / "shop" / "notes.txt").write_text("mine")
    assert "--overwrite" in beamwise(*again).complaint


def test_a_table_of_the_users_own_columns(beamwise, tmp_path):
    (tmp_path / "sales.csv").write_text("buyer,sku,when\na,x,1\na,y,2\na,y,2\nb,x,3\n")
    (tmp_path / "items.csv").write_text("sku,name,colour\nx,Mug,red\ny,Pot,\nz,Jar,blue\n")
    out = tmp_path / "out"
    outcome = beamwise(
        "prepare", "table", tmp_path / "sales.csv", "--items", tmp_path / "items.csv", "--out", out,
        "--column", "user_id=buyer", "--column", "item_id=sku", "--column", "timestamp=when",
        "--item-column", "item_id=sku", "--item-column", "title=name",
    )  # fmt: skip
    assert outcome.status == 0
    assert "interactions of a user" in outcome.out
    dataset = Dataset.load(out)
    assert dataset.items["title"].to_list() == ["Mug", "Pot", "Jar"]
    assert len(dataset.interactions) == 3
    card = json.loads((out / "data_card.json").read_text())
    assert (card["users"], card["items"], card["items_taken"]) == (2, 3, 2)
    assert card["notes"]["duplicates_dropped"] == 1
    assert "# Data card" in (out / "data_card.md").read_text()


def test_a_table_named_as_its_source_is_explained(beamwise, tmp_path):
    (tmp_path / "sales.csv").write_text("user_id,item_id,timestamp\na,x,1\n")
    complaint = beamwise("prepare", tmp_path / "sales.csv", "--out", tmp_path / "o").complaint
    assert f"table {tmp_path / 'sales.csv'}" in complaint
    wrong = ("--out", tmp_path / "o", "--column", "user_id")
    assert "not NAME=COLUMN" in beamwise("prepare", "table", "x.csv", *wrong).complaint


@pytest.fixture
def log(tmp_path):
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\na,x,1\na,y,2\nb,x,3\n")
    return tmp_path / "log.csv"


def test_what_is_read_is_never_removed(beamwise, tmp_path, log, monkeypatch):
    (tmp_path / "items.csv").write_text("item_id,title\nx,X\ny,Y\n")
    (tmp_path / "table.yaml").write_text(f"file: {log}\n")
    monkeypatch.chdir(tmp_path)
    for command in (
        ("table", "log.csv", "--items", "items.csv", "--out", "."),
        ("table", log, "--out", tmp_path),
        ("table", "--set", "file=log.csv", "--out", tmp_path),
        ("table", "--config", "table.yaml", "--out", "."),
        ("movielens", ".", "--out", tmp_path),
    ):
        complaint = beamwise("prepare", *command, "--overwrite").complaint
        assert "read and would be removed: name another folder to write" in complaint
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "items.csv", "log.csv", "table.yaml",
    ]  # fmt: skip


def test_the_working_directory_is_never_removed(beamwise, tmp_path, log, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    outcome = beamwise("prepare", "table", log, "--out", ".", "--overwrite")
    assert "the current working directory" in outcome.complaint
    assert beamwise("prepare", "table", log, "--out", "data").status == 0
    assert (tmp_path / "here" / "data" / "data_card.md").is_file()


def test_a_fitted_tokenizer_is_not_lost_unasked(beamwise, tmp_path, log):
    again = ("prepare", "table", log, "--out", tmp_path / "out")
    assert beamwise(*again).status == 0
    (tmp_path / "out" / "catalog").mkdir()
    replaced = beamwise(*again)
    assert "removed the catalog that was made from the earlier data" in replaced.err
    assert "removed" not in beamwise(*again).err
    (tmp_path / "out" / "tokenizer").mkdir()
    complaint = beamwise(*again).complaint
    assert "a tokenizer fitted to the items there" in complaint
    assert f"beamwise tokenize NEW --like {tmp_path / 'out'}" in complaint
    assert (tmp_path / "out" / "tokenizer").is_dir()
    assert "removed the tokenizer" in beamwise(*again, "--overwrite").err


@pytest.mark.parametrize("name", ["1", "no", "cust #", "a: b", "null", "%d", "x=y", "🍵"])
def test_names_of_columns_are_literal(beamwise, tmp_path, name):
    (tmp_path / "log.csv").write_text(f"{name},item_id\na,x\na,y\n", encoding="utf-8")
    (tmp_path / "items.csv").write_text(f"{name},title\nx,X\ny,Y\n", encoding="utf-8")
    outcome = beamwise(
        "prepare", "table", tmp_path / "log.csv", "--items", tmp_path / "items.csv",
        "--out", tmp_path / "out", "--column", f"user_id={name}", "--column", "timestamp=null",
        "--item-column", f"item_id={name}", "--json",
    )  # fmt: skip
    assert outcome.status == 0
    card = json.loads(outcome.out)
    assert (card["users"], card["items_with_title"]) == (1, 2)
    assert (card["source"], card["times"]) == ("table", "none: order of the rows")


def test_columns_are_for_a_table(beamwise, tmp_path):
    for option in ("--column", "--item-column"):
        command = ("prepare", "yelp", tmp_path, "--out", tmp_path / "out", option, "item_id=x")
        assert f"{option} is for the source table only" in beamwise(*command).complaint


def test_items_without_titles(beamwise, tmp_path, log):
    (tmp_path / "items.csv").write_text("item_id\nx\ny\n")
    command = ("prepare", "table", log, "--items", tmp_path / "items.csv", "--out", tmp_path / "o")
    assert "--item-column title=null" in beamwise(*command).complaint
    assert beamwise(*command, "--item-column", "title=null").status == 0
    assert Dataset.load(tmp_path / "o").items["title"].to_list() == [None, None]


@pytest.mark.parametrize("source", SOURCES)
def test_settings_are_listed(beamwise, source):
    listed = [
        json.loads(line)
        for line in beamwise("prepare", source, "--settings", "--json").out.splitlines()
    ]
    assert {row["key"] for row in listed} >= SOURCES[source].config.model_fields.keys() - {
        "name", "columns", "item_columns",
    }  # fmt: skip
    assert "setting" in beamwise("prepare", source, "--settings").out


def test_settings_need_a_source_and_all_else_a_folder(beamwise, log):
    assert "unknown source" in beamwise("prepare", "tabel", "--settings").complaint
    assert "add --out DIR" in beamwise("prepare", "table", log).complaint


def test_windows_of_titles(beamwise, tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "items.json").write_text('{"1": "One", "2": "Two", "3": "Three"}')
    header = "user_id,item_ids,timestamp\n"
    (folder / "train.csv").write_text(header + '7,"[1, 2]",5\n8,"[2, 1]",6\n')
    (folder / "test.csv").write_text(header + '7,"[2, 3]",9\n')
    out = tmp_path / "out"
    outcome = beamwise("prepare", "title-windows", folder, "--out", out)
    assert outcome.status == 0, outcome.err
    assert f"beamwise tokenize {out} --method titles" in outcome.out
    assert "--set data.split.name=published --set data.max_history=1" in outcome.err
    assert "no validation part came with them" in outcome.err
    assert Dataset.load(out).targets.height == 3
    facts = json.loads((out / "data_card.json").read_text())
    assert facts["targets"] == {"training": 2, "validation": 0, "test": 1}
    assert facts["split"] == "published"
    (folder / "test.csv").write_text(header + '7,"[2, 9]",9\n')
    complaint = beamwise("prepare", "title-windows", folder, "--out", out).complaint
    assert "test.csv, row 1, column 'item_ids': '9' is not an item of items.json" in complaint

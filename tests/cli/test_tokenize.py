"""Items become tokens, later ones too; every refusal is one line and changes nothing."""

import json
import shutil

import numpy as np
import polars as pl
import pytest

from beamwise.catalog import Catalog
from beamwise.data.dataset import Dataset, read_items
from beamwise.tokenization.codes import codes_of

TINY = ("--codebook-size", 16, "--set", "quantizer.num_levels=3", "--set", "embedding.dim=16")


@pytest.fixture
def data(tiny, tmp_path):
    """The shop without a catalog."""
    folder = shutil.copytree(tiny / "data", tmp_path / "data")
    shutil.rmtree(folder / "catalog")
    return folder


@pytest.fixture
def own(data):
    """The shop without published codes."""
    (data / "semantic_ids.parquet").unlink()
    return data


def contents(folder):
    """Every file of a folder, but for vectors kept by their content."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] != "embeddings"
    }


@pytest.fixture
def refusal(beamwise, data):
    """The one line of a refusal, after a check that the dataset is as it was."""

    def refused(*arguments):
        before = contents(data)
        complaint = beamwise("tokenize", *arguments).complaint
        assert contents(data) == before
        return complaint

    return refused


def write_csv(path, header, *rows):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_the_catalog_is_written_and_described(beamwise, data):
    facts = json.loads(beamwise("tokenize", data, "--json").out)
    catalog = Catalog.load(data / "catalog")
    assert facts["version"] == catalog.version
    assert (facts["items"], facts["distinct_ids"]) == (200, catalog.num_leaves)
    assert facts["colliding_items"] == 200 - catalog.num_leaves
    assert facts["prefixes_per_level"][-1] == catalog.num_leaves
    assert len(facts["prefixes_per_level"]) == facts["levels"] == 4
    assert facts["prefixes_per_level"][0] == len(catalog.leaf_tokens[:, 0].unique())
    assert "retired" not in facts
    assert facts["quality"]["distinct_ids"] == catalog.num_leaves
    assert facts["quality"]["neighbourhood"] is not None  # judged by the texts


def test_an_end_token_and_a_codebook_size(beamwise, data):
    outcome = beamwise("tokenize", data, "--end-token", "--codebook-size", 300)
    assert outcome.status == 0
    assert "beamwise train" in outcome.out
    catalog = Catalog.load(data / "catalog")
    assert (catalog.num_levels, catalog.end_token, catalog.vocab_size) == (5, 1, 2 + 4 * 300)


def test_bad_input_is_named_and_no_catalog_is_written(refusal, data, tmp_path):
    assert "no dataset folder" in refusal(tmp_path / "no")
    assert "outside 0..0" in refusal(data, "--codebook-size", 1)
    path = data / "semantic_ids.parquet"
    pl.read_parquet(path).head(100).write_parquet(path)
    assert "'item-0100' has no semantic ID" in refusal(data)
    path.unlink()
    chosen = (data, "--method", "semantic-ids")
    assert "has no semantic IDs: give them with --codes, or make them" in refusal(*chosen)
    (data / "interactions.parquet").write_bytes(b"PAR1")
    assert "not readable as Parquet" in refusal(*chosen)
    assert not (data / "catalog").exists()


def test_codes_are_made_where_there_are_none(beamwise, own):
    outcome = beamwise("tokenize", own, *TINY)
    assert outcome.status == 0
    assert "neighbours' lift" in outcome.out
    assert f"wrote the report on the codes to {own / 'quality' / 'report.md'}" in outcome.err
    catalog = Catalog.load(own / "catalog")
    assert (catalog.num_items, catalog.num_levels, catalog.vocab_size) == (200, 3, 2 + 3 * 16)
    assert catalog.num_leaves == 200  # reassigned
    assert (own / "tokenizer" / "config.yaml").is_file()
    assert Dataset.load(own).items["item_id"].equals(catalog.item_ids)


def test_item_ids(beamwise, data):
    beamwise("tokenize", data)
    facts = json.loads(beamwise("tokenize", data, "--method", "item-ids", "--json").out)
    catalog = Catalog.load(data / "catalog")
    assert (catalog.num_levels, catalog.num_leaves, catalog.vocab_size) == (1, 200, 202)
    assert facts["version"] == catalog.version
    assert "quality" not in facts
    assert not (data / "quality").exists()  # that of the codes before
    outcome = beamwise("tokenize", data, "--method", "item-ids")
    assert "beamwise train" in outcome.out
    assert "can get no token that a model has learned" in outcome.err
    new = write_csv(data.parent / "new.csv", "item_id,title", "new,Mug")
    complaint = beamwise("tokenize", data, "--add", new).complaint
    assert "no fitted tokenizer at" in complaint
    assert "can be extended to new items" in complaint
    gone = write_csv(data.parent / "gone.csv", "item_id", "item-0003")
    assert beamwise("tokenize", data, "--retire", gone).status == 0
    assert Catalog.load(data / "catalog").retired_ids.to_list() == ["item-0003"]


def test_rq_vae_and_a_suffix(beamwise, own):
    sizes = ("quantizer.epochs=2", "quantizer.hidden_dims=[8]", "quantizer.latent_dim=4")
    settings = [part for size in (*sizes, "collisions=suffix") for part in ("--set", size)]
    tiny = ("--codebook-size", 64, "--set", "quantizer.num_levels=3", "--set", "embedding.dim=16")
    facts = json.loads(
        beamwise("tokenize", own, "--method", "rq-vae", *tiny, *settings, "--json").out
    )
    catalog = Catalog.load(own / "catalog")
    assert (facts["levels"], facts["vocabulary"]) == (4, catalog.vocab_size) == (4, 2 + 4 * 64)
    assert facts["colliding_items"] == 0
    suffixes = codes_of(catalog, 64)[:, 3]
    assert facts["moved_items"] == (suffixes > 0).sum()
    assert facts["quality"]["num_meaningful_levels"] == 3
    config = (own / "tokenizer" / "config.yaml").read_text()
    assert "name: rq-vae" in config
    assert "collisions: suffix" in config


def test_settings_come_from_a_file_and_the_method_with_them(beamwise, own, tmp_path):
    text = "quantizer: {name: rq-vae, epochs: 1, hidden_dims: [4], latent_dim: 2, num_levels: 2}\n"
    (tmp_path / "own.yaml").write_text(text + "embedding: {dim: 4}\nend_token: true\n")
    asked = ("--config", tmp_path / "own.yaml", "--set", "quantizer.codebook_size=16")
    assert beamwise("tokenize", own, *asked).status == 0
    catalog = Catalog.load(own / "catalog")
    assert (catalog.num_levels, catalog.end_token) == (3, 1)
    assert "name: rq-vae" in (own / "tokenizer" / "config.yaml").read_text()


def test_a_method_makes_codes_also_where_some_are_published(beamwise, data):
    assert beamwise("tokenize", data, "--method", "rq-kmeans", *TINY).status == 0
    assert Catalog.load(data / "catalog").num_levels == 3
    assert beamwise("tokenize", data).status == 0
    assert Catalog.load(data / "catalog").num_levels == 4
    assert not (data / "tokenizer").exists()  # which made other codes


def test_codes_of_ones_own(beamwise, own, tmp_path):
    ids = read_items(own)["item_id"].to_list()
    codes = [[n // 20, n % 20] for n in range(200)]
    rows = [f"{item},{a},{b}" for item, (a, b) in zip(ids, codes, strict=True)]
    path = write_csv(tmp_path / "12.csv", "item_id,first,second", *reversed(rows))
    assert beamwise("tokenize", own, "--codes", path).status == 0
    first = Catalog.load(own / "catalog")
    assert first.vocab_size == 2 + 2 * 32
    assert codes_of(first, 32).tolist() == codes
    np.save(tmp_path / "codes.npy", np.array(codes))
    asked = ("--codes", tmp_path / "codes.npy", "--codebook-size", 32)
    assert beamwise("tokenize", own, *asked).status == 0
    assert Catalog.load(own / "catalog").version == first.version


def test_bad_codes_are_named(refusal, own, tmp_path):
    path = write_csv(tmp_path / "codes.csv", "item_id,code", "item-0000,1", "item-0001,x")
    assert "codes.csv, row 2, column 'code': 'x' is not a code" in refusal(own, "--codes", path)
    write_csv(path, "item_id,code", "item-0000,1")
    assert "has no codes for 199 of 200 items" in refusal(own, "--codes", path)
    assert "is of no known format" in refusal(own, "--codes", tmp_path / "codes.txt")
    assert "is no file" in refusal(own, "--codes", tmp_path / "codes.npy")
    np.save(tmp_path / "codes.npy", np.zeros((3, 2), dtype=np.int64))
    complaint = refusal(own, "--codes", tmp_path / "codes.npy")
    assert "of shape (3, 2), expected (200, levels)" in complaint


def test_items_without_texts_are_told_and_taken_by_who_takes_them(beamwise, own):
    items = read_items(own).select("item_id", title=pl.lit(None, pl.String))
    items.write_parquet(own / "items.parquet")
    outcome = beamwise("tokenize", own, *TINY)
    assert outcome.status == 0
    assert "items are near that the same users take" in outcome.err
    config = (own / "tokenizer" / "config.yaml").read_text()
    assert "name: co-occurrence" in config
    assert "dim: 16" in config
    refused = beamwise("tokenize", own, "--set", "embedding.name=tfidf-svd")
    assert "(200 of 200 items): give it a title" in refused.complaint


def test_vectors_of_ones_own(beamwise, own, tmp_path):
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(200, 4)))
    asked = ("--set", "embedding.name=file", "--set", f"embedding.file={tmp_path / 'v.npy'}")
    assert beamwise("tokenize", own, "--codebook-size", 16, *asked).status == 0
    assert Catalog.load(own / "catalog").num_levels == 4


@pytest.fixture
def tokenized(fitted, own):
    """The shop with a fitted tokenizer."""
    for name in ("catalog", "tokenizer"):
        shutil.copytree(fitted / "data" / name, own / name)
    return own


def test_items_are_added_and_retired(beamwise, tokenized, tmp_path):
    before = Catalog.load(tokenized / "catalog")
    items = read_items(tokenized)
    title = items["title"][7]
    new = write_csv(tmp_path / "new.csv", "item_id,title,colour", f"new-1,{title},red")
    gone = write_csv(tmp_path / "gone.csv", "item_id,reason", "item-0003,sold", "item-0005,sold")
    added = json.loads(beamwise("tokenize", tokenized, "--add", new, "--json").out)
    assert (added["items"], added["vocabulary"]) == (201, before.vocab_size)
    both = beamwise("tokenize", tokenized, "--retire", gone)
    assert both.status == 0
    assert "retired" in both.out
    assert f"beamwise recommend RUN --data {tokenized}" in both.out
    catalog = Catalog.load(tokenized / "catalog")
    assert int(catalog.retired.sum()) == 2
    codes = codes_of(catalog, 16)
    np.testing.assert_array_equal(codes[:200], codes_of(before, 16))
    assert read_items(tokenized).row(200, named=True)["title"] == title
    lines = (tokenized / "tokenizer" / "versions.jsonl").read_text().splitlines()
    assert [json.loads(line).get("added") for line in lines] == [None, 1, 0]


def test_a_dataset_is_tokenized_like_another(beamwise, tokenized, tmp_path, tiny):
    later = shutil.copytree(tiny / "data", tmp_path / "later")
    shutil.rmtree(later / "catalog")
    outcome = beamwise("tokenize", later, "--like", tokenized, "--json")
    facts = json.loads(outcome.out)
    assert facts["version"] == Catalog.load(tokenized / "catalog").version
    assert facts["folder"] == str(later / "catalog")
    assert (later / "tokenizer" / "config.yaml").is_file()


BAD = {
    "like and add": (("--like", "x", "--add", "x.csv"), "give the one or the others"),
    "like and retire": (("--like", "x", "--retire", "x.csv"), "go on with a tokenizer"),
    "add and method": (("--add", "x.csv", "--method", "rq-vae"), "go on with a tokenizer"),
    "add and no size": (("--add", "x.csv", "--codebook-size", "0"), "go on with a tokenizer"),
    "like and end": (("--like", "x", "--end-token"), "go on with a tokenizer"),
    "retire and config": (("--retire", "x.csv", "--config", "x.yaml"), "go on with a tokenizer"),
    "codes and method": (("--codes", "x.csv", "--method", "rq-vae"), "--codes are codes that exis"),
    "ids and codes": (("--method", "item-ids", "--codes", "x.csv"), "one token of its own: leave"),
    "ids and size": (("--method", "item-ids", "--codebook-size", "9"), "leave out --codes, --code"),
    "ids and end": (("--method", "item-ids", "--end-token"), "leave out --codes, --codebook-size"),
    "setting of ids": (("--method", "item-ids", "--set", "size=9"), "unknown setting 'size'"),
    "unknown method": (("--method", "words"), "words"),
    "no size": (("--codebook-size", "0"), "quantizer.codebook_size"),
    "setting of codes": (("--method", "rq-vae", "--set", "file=x.csv"), "unknown setting 'file'"),
    "setting misspelt": (("--set", "quantizer.num_level=2"), "did you mean 'num_levels'"),
    "collisions": (("--set", "collisions=drop"), "'suffix', 'reassign' or 'share'"),
    "embedding": (("--set", "embedding.name=words"), "choose one of tfidf-svd, minilm"),
    "no config": (("--config", "nowhere.yaml"), "no config file at nowhere.yaml"),
    "no file to add": (("--add", "nowhere.csv"), "nowhere.csv"),
    "no file to retire": (("--retire", "nowhere.csv"), "nowhere.csv"),
    "no folder to be like": (("--like", "nowhere"), "no fitted tokenizer at nowhere"),
    "idle setting": (("--retire", "gone.csv", "--set", "x=1"), "'x=1' is one for new items"),
    "known item": (("--add", "known.csv"), "1 of the 1 items to add are there already"),
    "no title": (("--add", "gone.csv"), "has no column 'title'"),
    "unknown item": (("--retire", "unknown.csv"), "not in the catalog, as 'zz'"),
    "strange words": (("--add", "strange.csv"), "has no word that the embedding knows"),
    "other form": (("--add", "new.csv", "--set", "end_token=true"), "made with end_token=False"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_change_nothing(tokenized, refusal, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "gone.csv", "item_id", "item-0003")
    write_csv(tmp_path / "unknown.csv", "item_id", "zz")
    write_csv(tmp_path / "known.csv", "item_id,title", "item-0003,Mug")
    write_csv(tmp_path / "strange.csv", "item_id,title", "n,qqqqq")
    write_csv(tmp_path / "new.csv", "item_id,title", "n,Mug")
    arguments, complaint = BAD[name]
    assert complaint in refusal(tokenized, *arguments)


def test_published_codes_cannot_be_added_to(beamwise, refusal, data, tmp_path):
    assert beamwise("tokenize", data).status == 0
    new = write_csv(tmp_path / "new.csv", "item_id,title", "n,Mug")
    assert "no fitted tokenizer at" in refusal(data, "--add", new)


def test_what_fails_after_long_work_changes_nothing_either(beamwise, own):
    before = contents(own)
    small = ("--codebook-size", 2, "--set", "quantizer.num_levels=1", "--set", "collisions=suffix")
    complaint = beamwise("tokenize", own, *small).complaint
    assert "an extra level numbers at most codebook_size=2" in complaint
    assert contents(own) == before


def test_a_run_is_all_that_later_data_need(beamwise, own, fitted):
    facts = json.loads(beamwise("tokenize", own, "--like", fitted / "run", "--json").out)
    assert facts["version"] == Catalog.load(fitted / "run" / "catalog").version


@pytest.mark.parametrize("name", ["items.parquet", "catalog/tokens.parquet"])
def test_torn_files_are_named(refusal, tokenized, tmp_path, name):
    content = (tokenized / name).read_bytes()
    (tokenized / name).write_bytes(content[:4] + bytes(200) + content[204:])
    gone = write_csv(tmp_path / "gone.csv", "item_id", "item-0003")
    complaint = refusal(tokenized, "--retire", gone)
    assert f"{tokenized / name} is not readable as Parquet" in complaint


def test_retired_items_stay_retired_until_they_are_restored(beamwise, tokenized, tmp_path):
    gone = write_csv(tmp_path / "gone.csv", "item_id", "item-0003", "item-0005")
    back = write_csv(tmp_path / "back.csv", "item_id", "item-0003")
    assert beamwise("tokenize", tokenized, "--retire", gone).status == 0
    outcome = beamwise("tokenize", tokenized, *TINY)
    assert "2 items stay retired, as in the catalog before (--restore FILE" in outcome.err
    new = write_csv(tmp_path / "new.csv", "item_id,title", "item-0003,Mug")
    complaint = beamwise("tokenize", tokenized, "--add", new).complaint
    assert f"{new}, row 1: " in complaint
    assert "--restore FILE" in complaint
    assert beamwise("tokenize", tokenized, "--restore", back).status == 0
    assert Catalog.load(tokenized / "catalog").retired_ids.to_list() == ["item-0005"]
    complaint = beamwise("tokenize", tokenized, "--restore", back).complaint
    assert f"{back}, row 1: 1 of the 1 items to restore are not retired" in complaint
    assert "go on with a tokenizer" in beamwise(
        "tokenize", tokenized, "--restore", back, "--like", tokenized
    ).complaint  # fmt: skip


def test_the_report_is_always_of_the_catalog(beamwise, own, tmp_path):
    def reported():
        return json.loads((own / "quality" / "report.json").read_text())

    assert beamwise("tokenize", own, *TINY, "--set", "collisions=share").status == 0
    title = read_items(own)["title"][0]
    rows = [f"new-{n},{title},x" for n in range(80)]
    new = write_csv(tmp_path / "new.csv", "item_id,title,weight", *rows)
    outcome = beamwise("tokenize", own, "--add", new)
    assert f"{new}: column 'weight' left out" in outcome.err
    assert "have the ID of an earlier item" in outcome.err
    assert "fitted codebooks cannot grow, so tokenize all items anew" in outcome.err
    assert reported()["catalog"] == Catalog.load(own / "catalog").version
    assert reported()["num_items"] == 280
    gone = write_csv(tmp_path / "gone.csv", "item_id", "item-0003")
    facts = json.loads(beamwise("tokenize", own, "--retire", gone, "--json").out)
    assert reported()["catalog"] == facts["version"]
    assert facts["report"] == str(own / "quality" / "report.md")
    facts = json.loads(beamwise("tokenize", own, "--like", own, "--json").out)
    assert reported()["catalog"] == facts["version"]
    assert facts["quality"]["num_items"] == 280


def test_what_comes_first_and_what_lacks_a_place_are_named(refusal, own, tmp_path):
    new = write_csv(tmp_path / "new.csv", "item_id,title", "n,Mug")
    assert f"run `beamwise tokenize {own}` first" in refusal(own, "--add", new)
    ids = read_items(own)["item_id"]
    codes = write_csv(tmp_path / "c.csv", "item_id,code", *(f"{item},7" for item in ids))
    complaint = refusal(own, "--codes", codes, "--codebook-size", 4)
    assert f"{codes}: code 7 of item 'item-0000', level 1, is outside 0..3" in complaint
    assert "embedding.file is not set" in refusal(own, "--set", "embedding.name=file")


def test_an_item_id_is_enough_where_no_item_has_a_title(beamwise, own, tmp_path):
    items = read_items(own).with_columns(title=pl.lit(None, pl.String))
    items.write_parquet(own / "items.parquet")
    vectors = np.random.default_rng(0).normal(size=(201, 4)).tolist()
    table = pl.DataFrame({"item_id": [*items["item_id"], "n"], "vector": vectors})
    table[:200].write_parquet(tmp_path / "v.parquet")
    table[200:].write_parquet(tmp_path / "more.parquet")
    asked = ("--set", "embedding.name=file", "--set", f"embedding.file={tmp_path / 'v.parquet'}")
    assert beamwise("tokenize", own, "--codebook-size", 16, *asked).status == 0
    new = write_csv(tmp_path / "new.csv", "item_id", "n")
    more = ("--set", f"embedding.file={tmp_path / 'more.parquet'}")
    outcome = beamwise("tokenize", own, "--add", new, *more)
    assert outcome.status == 0, outcome.err
    assert Catalog.load(own / "catalog").num_items == 201


def test_settings_are_listed_by_method(beamwise, tmp_path):
    quantized = beamwise("tokenize", tmp_path, "--settings").out
    assert "quantizer.num_levels" in quantized
    assert "embedding.name" in quantized
    given = beamwise("tokenize", tmp_path, "--settings", "--method", "semantic-ids").out
    assert "quantizer.num_levels" not in given
    assert list(tmp_path.iterdir()) == []

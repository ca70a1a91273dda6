"""A fitted tokenizer: saved, loaded, and used on items that come later."""

import numpy as np
import polars as pl
import pytest

from beamwise.catalog import Catalog
from beamwise.config import ConfigError
from beamwise.data.dataset import read_items
from beamwise.tokenization.codes import codes_of
from beamwise.tokenization.item_tokenizer import (
    FittedItems,
    ItemTokenizer,
    QuantizedConfig,
    fit_items,
    named,
)

from .conftest import items_of

NEW = {"n0": "blue pen", "n1": "red mug", "n2": "black chair"}


def fitted(config: QuantizedConfig, folder) -> tuple[FittedItems, Catalog]:
    items = read_items(folder)
    found = fit_items(config, items, folder)
    size = config.quantizer.codebook_size
    return found, Catalog.from_codes(found.settled.codes, size, items["item_id"], config.end_token)


def with_new(folder, titles=NEW) -> pl.DataFrame:
    return pl.concat([read_items(folder), items_of(titles)])


@pytest.mark.parametrize("quantizer", ["rq-kmeans", "rq-vae"])
def test_loaded_gives_the_codes_that_it_gave(prepare, small, tmp_path, quantizer):
    sizes = {"num_levels": 2, "codebook_size": 8}
    if quantizer == "rq-vae":
        sizes |= {"hidden_dims": [8], "latent_dim": 4, "epochs": 2}
    settings = {"embedding": small.embedding, "quantizer": {"name": quantizer} | sizes}
    folder = prepare()
    found, catalog = fitted(QuantizedConfig.model_validate(settings), folder)
    found.tokenizer.save(tmp_path / "saved")
    loaded = ItemTokenizer.load(tmp_path / "saved")
    assert loaded.config == found.tokenizer.config
    assert loaded.codebook_size == 8
    vectors = loaded.embedding.embed(read_items(folder))
    np.testing.assert_array_equal(vectors, found.vectors)
    extended = [part.extend(catalog, with_new(folder)) for part in (found.tokenizer, loaded)]
    assert extended[0].version == extended[1].version


@pytest.mark.parametrize("collisions", ["suffix", "reassign", "share"])
@pytest.mark.parametrize("end_token", [False, True])
def test_known_items_keep_their_codes_and_new_ones_are_near_theirs(
    prepare, small, collisions, end_token
):
    folder = prepare()
    config = small.model_copy(update={"collisions": collisions, "end_token": end_token})
    found, catalog = fitted(config, folder)
    extended = found.tokenizer.extend(catalog, with_new(folder))
    assert extended.item_ids.to_list() == [*catalog.item_ids, *NEW]
    for name in ("vocab_size", "num_levels", "end_token"):
        assert getattr(extended, name) == getattr(catalog, name)
    before, after = codes_of(catalog, 8), codes_of(extended, 8)
    np.testing.assert_array_equal(after[:24], before)
    # n0 is a blue pen as i00 is, so only the last code can differ
    known = {"suffix": 2, "reassign": 1, "share": 2}[collisions]
    np.testing.assert_array_equal(after[24, :known], before[0, :known])
    assert (after[24] == before[0]).all() == (collisions == "share")
    assert extended.num_leaves == (27 if collisions != "share" else catalog.num_leaves)


def test_another_order_fewer_items_and_none_that_is_known(prepare, small):
    folder = prepare()
    found, catalog = fitted(small, folder)
    whole = found.tokenizer.extend(catalog, with_new(folder))
    mixed = with_new(folder).reverse()[1::2]
    extended = found.tokenizer.extend(catalog, mixed)
    assert extended.item_ids.to_list() == mixed["item_id"].to_list()
    kept = [item for item in mixed["item_id"] if item not in NEW]
    places = extended.indices_of(kept).numpy(), whole.indices_of(kept).numpy()
    np.testing.assert_array_equal(codes_of(extended, 8)[places[0]], codes_of(whole, 8)[places[1]])
    strangers = found.tokenizer.extend(catalog, items_of(NEW))
    assert strangers.num_items == 3
    theirs = {tuple(row) for row in codes_of(catalog, 8).tolist()}
    assert theirs.isdisjoint(tuple(row) for row in codes_of(strangers, 8).tolist())


def test_nothing_new_is_the_same_catalog(prepare, small):
    folder = prepare()
    found, catalog = fitted(small, folder)
    told = []
    extended = found.tokenizer.extend(catalog, read_items(folder), lambda *w: told.append(w))
    assert extended.version == catalog.version
    assert told == []
    found.tokenizer.extend(catalog, with_new(folder), lambda *w: told.append(w))
    assert told == [("embedding new items", 3, 3)]


def test_retired_items_stay_retired_where_they_are_still_there(prepare, small):
    folder = prepare()
    found, catalog = fitted(small, folder)
    retired = catalog.with_retired(["i03", "i05"])
    extended = found.tokenizer.extend(retired, with_new(folder))
    assert extended.item_ids.filter(pl.Series(extended.retired.numpy())).to_list() == ["i03", "i05"]
    fewer = with_new(folder).filter(~pl.col("item_id").is_in(["i03", "i05"]))
    assert found.tokenizer.extend(retired, fewer).retired is None


def test_items_that_cannot_be_coded_are_refused(prepare, small):
    folder = prepare()
    found, catalog = fitted(small, folder)
    with pytest.raises(ValueError, match="'n' has no word that the embedding knows"):
        found.tokenizer.extend(catalog, with_new(folder, {"n": "quartz"}))
    crowd = {f"n{n}": "blue pen" for n in range(9)}
    suffix, numbered = fitted(small.model_copy(update={"collisions": "suffix"}), folder)
    with pytest.raises(ValueError, match="an extra level numbers at most codebook_size=8"):
        suffix.tokenizer.extend(numbered, with_new(folder, crowd))
    shared = found.tokenizer.extend(catalog, with_new(folder, crowd))  # no code is left for some
    assert shared.num_leaves < shared.num_items


def test_settings_of_later_items_may_be_others(prepare, small, tmp_path):
    folder = prepare()
    found, catalog = fitted(small, folder)
    found.tokenizer.save(tmp_path / "saved")
    blank = ItemTokenizer.load(tmp_path / "saved", ["embedding.missing=blank"])
    assert blank.extend(catalog, with_new(folder, {"n": None})).num_items == 25
    sharing = ItemTokenizer.load(tmp_path / "saved", ["collisions=share"])
    assert sharing.extend(catalog, with_new(folder)).num_leaves == 24


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("end_token=true", "was made with end_token=False, not True: leave that setting out"),
        ("collisions=suffix", "was made with collisions=reassign, not suffix"),
        ("embedding.dim=7", "was fitted with embedding.dim=6, not 7"),
        ("embedding.name=minilm", r"unknown setting|was fitted with"),
        ("quantizer.num_levels=3", "has num_levels 2, the settings 3"),
        ("quantizer.codebook_size=16", "has codebook_size 8, the settings 16"),
        ("quantizer.name=rq-vae", r"has name 'rq-kmeans'|unknown setting"),
        ("quantiser.seed=1", "did you mean 'quantizer'"),
    ],
)
def test_settings_that_codes_depend_on_may_not(prepare, small, tmp_path, override, message):
    found, _ = fitted(small, prepare())
    found.tokenizer.save(tmp_path / "saved")
    with pytest.raises(ValueError, match=message) as caught:
        ItemTokenizer.load(tmp_path / "saved", [override])
    assert "\n" not in str(caught.value)


def test_a_suffix_stays_a_suffix(prepare, small, tmp_path):
    found, _ = fitted(small.model_copy(update={"collisions": "suffix"}), prepare())
    found.tokenizer.save(tmp_path / "saved")
    with pytest.raises(ValueError, match="was made with collisions=suffix, not share"):
        ItemTokenizer.load(tmp_path / "saved", ["collisions=share"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.yaml", "no fitted tokenizer at .*: only codes made by `beamwise tokenize` from"),
        ("embedding/embedding.json", "missing or damaged .*: tokenize again"),
        ("embedding/embedding.safetensors", "missing or damaged .*: tokenize again"),
        ("quantizer/quantizer.json", "no quantizer at .*: tokenize the data again"),
        ("quantizer/quantizer.safetensors", "no quantizer at .*: tokenize the data again"),
    ],
)
def test_a_damaged_folder_is_refused(prepare, small, tmp_path, name, message):
    found, _ = fitted(small, prepare())
    found.tokenizer.save(tmp_path / "saved")
    content = (tmp_path / "saved" / name).read_bytes()
    (tmp_path / "saved" / name).unlink()
    with pytest.raises(ValueError, match=message):
        ItemTokenizer.load(tmp_path / "saved")
    (tmp_path / "saved" / name).write_bytes(content[: len(content) // 2] + b"\xff")
    with pytest.raises(ValueError, match=r"damaged|not readable|is missing") as caught:
        ItemTokenizer.load(tmp_path / "saved")
    assert "\n" not in str(caught.value)


def test_a_config_of_something_else(tmp_path):
    (tmp_path / "config.yaml").write_text("name: words\n")
    with pytest.raises(ConfigError, match="name"):
        ItemTokenizer.load(tmp_path)


def test_progress_is_told_what_is_done():
    told = []
    named("work", lambda *work: told.append(work))(1, 2)
    named("work", None)(1, 2)
    assert told == [("work", 1, 2)]


@pytest.mark.parametrize("balanced", [False, True])
def test_where_a_suffix_is_full_what_is_left_to_do_is_told(prepare, balanced):
    sizes = {"num_levels": 1, "codebook_size": 2, "balanced": balanced}
    settings = {"embedding": {"dim": 4}, "quantizer": sizes, "collisions": "suffix"}
    config, folder = QuantizedConfig.model_validate(settings), prepare()
    more = "raise quantizer.num_levels from 1 or quantizer.codebook_size from 2"
    with pytest.raises(ValueError, match="at most codebook_size=2") as raised:
        fit_items(config, read_items(folder), folder)
    end = more if balanced else f"{more} or set quantizer.balanced=true"
    assert str(raised.value).endswith(f": {end}")


def test_a_full_suffix_of_later_items_needs_all_anew(prepare, small):
    folder = prepare()
    found, catalog = fitted(small.model_copy(update={"collisions": "suffix"}), folder)
    many = {f"n{n}": "blue pen" for n in range(8)}  # i00 is one: 9 on an ID, of 8 numbers
    with pytest.raises(ValueError, match="tokenize all items anew, since fitted codebooks cannot"):
        found.tokenizer.extend(catalog, with_new(folder, many))

"""A model saved by `transformers` is asked about data as the run that it came from is."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
import torch

from beamwise.catalog import Catalog
from beamwise.decoding import beam_search
from beamwise.evaluation import EvaluationConfig, evaluate_windows
from beamwise.experiments.evaluate_run import data_of
from beamwise.experiments.foreign_model import ForeignModelConfig, open_foreign_model
from beamwise.tokenization.codes import codes_of
from beamwise.training.run import open_run

RANKED = EvaluationConfig(ks=(5, 10), beam_width=10, full_sort=True)


@pytest.fixture(scope="module")
def run(tiny):
    return open_run(tiny)


@pytest.fixture(scope="module")
def codebook_size(run):
    return (run.catalog.vocab_size - 2) // run.catalog.num_levels


@pytest.fixture(scope="module")
def model(run, tmp_path_factory):
    return saved(run.backbone.to_huggingface(), tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def codes_file(run, codebook_size, tmp_path_factory):
    return written(run, codes_of(run.catalog, codebook_size), tmp_path_factory.mktemp("codes"))


def saved(model, folder):
    from transformers.utils import logging

    logging.disable_progress_bar()
    model.save_pretrained(folder)
    logging.enable_progress_bar()
    return folder


def written(run, codes, folder):
    table = pl.DataFrame(codes, [f"level {i}" for i in range(codes.shape[1])])
    table = table.insert_column(0, run.catalog.item_ids.alias("item_id"))
    table.sample(fraction=1, shuffle=True, seed=3).write_csv(folder / "codes.csv")
    return folder / "codes.csv"


def ranked(opened):
    return evaluate_windows(
        opened.run.backbone, opened.data.test, opened.run.catalog, RANKED
    )  # fmt: skip


def test_a_file_of_codes_gives_the_runs_evaluation(run, model, codes_file, codebook_size):
    settings = ForeignModelConfig(
        model=model, catalog=codes_file, data=run.data, codebook_size=codebook_size
    )
    opened = open_foreign_model(settings)
    assert opened.run.catalog.version == run.catalog.version
    assert opened.run.items.equals(run.items)
    assert opened.run.config.backbone == run.config.backbone
    assert opened.data.user_ids.equals(data_of(run).user_ids)
    found = ranked(opened)
    expected = evaluate_windows(run.backbone, data_of(run).test, run.catalog, RANKED)
    assert found.summary == expected.summary
    assert found.survival == expected.survival
    assert found.per_user.equals(expected.per_user)


def test_an_array_and_a_catalog_folder_give_the_same(run, model, codes_file, tmp_path):
    tokens = run.catalog.leaf_tokens[run.catalog.leaf_of_item.long()].numpy()
    np.save(tmp_path / "tokens.npy", tokens)
    for catalog in (tmp_path / "tokens.npy", run.data / "catalog"):
        opened = open_foreign_model(ForeignModelConfig(model=model, catalog=catalog, data=run.data))
        assert opened.run.catalog.version == run.catalog.version


def test_other_special_tokens_change_no_probability(run, tmp_path):
    """Vocabulary of 3 more, all ids reversed: our 0 is their last, and so on."""
    foreign = run.backbone.to_huggingface()
    size = run.catalog.vocab_size
    foreign.resize_token_embeddings(size + 3)
    with torch.no_grad():
        foreign.shared.weight[size:] = -20 * foreign.shared.weight[:3]
        expected_backbone = type(run.backbone).from_huggingface(foreign).eval()
        foreign.shared.weight.copy_(foreign.shared.weight.flip(0))
    foreign.config.update(
        {"decoder_start_token_id": size + 2, "pad_token_id": size + 2, "eos_token_id": size + 1}
    )
    tokens = run.catalog.leaf_tokens[run.catalog.leaf_of_item.long()].numpy()
    opened = open_foreign_model(
        ForeignModelConfig(
            model=saved(foreign, tmp_path / "model"),
            catalog=written(run, size + 2 - tokens, tmp_path),
            data=run.data,
        )
    ).run
    histories = torch.tensor([[3, 7], [100, -1], [-1, -1]])
    found = beam_search(opened.backbone, histories, opened.catalog, beam_width=10)
    expected = beam_search(expected_backbone, histories, run.catalog, beam_width=10)
    assert torch.equal(found.items, expected.items)
    torch.testing.assert_close(found.log_probs, expected.log_probs)


def test_an_end_token_closes_every_item(run, model, codes_file, codebook_size):
    settings = ForeignModelConfig(
        model=model, catalog=codes_file, data=run.data, codebook_size=codebook_size, end_token=True
    )
    opened = open_foreign_model(settings).run
    codes = codes_of(run.catalog, codebook_size)
    expected = Catalog.from_codes(codes, codebook_size, run.catalog.item_ids, end_token=True)
    assert opened.catalog.version == expected.version


def test_a_catalog_folder_with_end_tokens_and_retired_items(run, model, codebook_size, tmp_path):
    codes = codes_of(run.catalog, codebook_size)
    catalog = Catalog.from_codes(codes, codebook_size, run.catalog.item_ids, end_token=True)
    catalog = catalog.with_retired(["item-0004"])
    catalog.save(tmp_path / "catalog")
    settings = ForeignModelConfig(model=model, catalog=tmp_path / "catalog", data=run.data)
    assert open_foreign_model(settings).run.catalog.version == catalog.version


def refused(run, model, catalog, **changes):
    settings = {"model": model, "catalog": catalog, "data": run.data} | changes
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the caller looks at the message
        open_foreign_model(ForeignModelConfig(**settings))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_codes_that_are_taken_for_tokens(run, model, codes_file):
    assert "which is decoder_start_token_id of" in refused(run, model, codes_file)


def test_a_vocabulary_too_small_for_the_catalog(run, model, codes_file, codebook_size):
    message = refused(run, model, codes_file, codebook_size=10 * codebook_size)
    assert f"the vocabulary of {model} ends at {run.catalog.vocab_size - 1}" in message


def test_a_code_outside_its_codebook(run, model, codes_file):
    assert "is outside 0..1: raise codebook_size" in refused(
        run, model, codes_file, codebook_size=2
    )


def test_items_of_the_data_that_the_catalog_has_not(run, model, codes_file, tmp_path):
    lines = codes_file.read_text().splitlines(keepends=True)
    (tmp_path / "codes.csv").write_text("".join(lines[:-3]))
    message = refused(run, model, tmp_path / "codes.csv", codebook_size=64)
    assert "has no codes for 3 of 200 items" in message


def test_an_item_that_only_interactions_have_in_common(run, model, tmp_path):
    keep = run.catalog.num_items - 1
    tokens = run.catalog.leaf_tokens[run.catalog.leaf_of_item.long()][:keep]
    Catalog.from_tokens(tokens, None, run.catalog.item_ids[:keep]).save(tmp_path / "catalog")
    assert "item 'item-0199' of the interactions" in refused(run, model, tmp_path / "catalog")


def test_a_codebook_size_beside_a_catalog_folder(run, model):
    catalog = run.data / "catalog"
    assert "leave out codebook_size" in refused(run, model, catalog, codebook_size=4)


def test_data_that_are_none(run, model, codes_file, tmp_path):
    assert "no dataset folder" in refused(run, model, codes_file, data=tmp_path / "nowhere")


def test_a_split_that_the_data_cannot_have(run, model, tmp_path):
    data = shutil.copytree(run.data, tmp_path / "data")
    table = pl.read_parquet(data / "interactions.parquet")
    order = pl.int_range(pl.len()).over("user_id").cast(pl.Int64)
    table.with_columns(order.alias("timestamp")).write_parquet(data / "interactions.parquet")
    message = refused(run, model, data / "catalog", data=data, split={"name": "by-time"})
    assert message.startswith(f"{data}: ")


def test_config_json_is_looked_at_first(run, model, tmp_path):
    folder = shutil.copytree(model, tmp_path / "model")
    settings = json.loads((folder / "config.json").read_text()) | {"model_type": "bert"}
    (folder / "config.json").write_text(json.dumps(settings))
    assert "model_type='bert'" in refused(run, folder, tmp_path / "nowhere.csv")


def test_titles_are_refused_before_the_model_is_read(run, tmp_path):
    (tmp_path / "catalog").mkdir()
    (tmp_path / "tokenizer" / "text").mkdir(parents=True)
    config = ForeignModelConfig(model="nowhere", catalog=tmp_path / "catalog", data=run.data)
    with pytest.raises(ValueError, match=r"holds titles, .* backbone\.model=nowhere"):
        open_foreign_model(config)

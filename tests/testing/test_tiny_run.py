"""The tiny run is a complete run folder on data of the sizes that it promises."""

from beamwise.testing.tiny_run import (
    TINY_SHOP,
    TINY_TOKENIZER,
    TWINS,
    tiny_run,
    tiny_title_run,
)
from beamwise.training.run import open_run
from beamwise.training.run_data import RunData


def test_tiny_run_is_a_complete_run_on_the_tiny_shop(tmp_path):
    run = open_run(tiny_run(tmp_path))
    data = RunData.load(run.config.data)
    assert run.catalog.num_items == TINY_SHOP.num_items
    assert len(data.test) == TINY_SHOP.num_users
    assert data.catalog.version == run.catalog.version


def test_its_codes_may_come_from_a_tokenizer(tmp_path):
    run = tiny_run(tmp_path, TINY_TOKENIZER)
    assert open_run(run).catalog.num_levels == TINY_TOKENIZER.quantizer.num_levels
    assert (run / "tokenizer").is_dir()


def test_its_items_may_be_titles_of_which_two_are_equal(tmp_path):
    run = open_run(tiny_title_run(tmp_path))
    assert run.config.backbone.model == "tiny"
    shared = run.items.filter(run.items["title"].is_duplicated())
    assert tuple(shared["item_id"]) == TWINS
    assert run.catalog.num_leaves == TINY_SHOP.num_items - 1

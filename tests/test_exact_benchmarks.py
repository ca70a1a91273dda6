"""The benchmarks of exact search, from end to end at a tiny size."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from beamwise.backbones import BACKBONES, LlamaConfig, TigerConfig, build_backbone
from beamwise.catalog import Catalog
from beamwise.decoding import full_sort

pytest.importorskip("transformers")

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = (
    "harness", "workload", "searched_model", "transformers_alternative", "item_by_item",
    "exact_search", "random_exactness",
)  # fmt: skip
CONFIGS = {
    "tiger": TigerConfig(
        dim=16, num_encoder_layers=1, num_decoder_layers=1, num_heads=2, head_dim=8,
        feedforward_dim=16,
    ),
    "llama": LlamaConfig(dim=16, num_layers=2, num_heads=2, head_dim=8, feedforward_dim=16),
}  # fmt: skip


@pytest.fixture(scope="module")
def scripts():
    """The scripts as modules, found beside each other as when one is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        patch.setenv("ACCELERATE_USE_CPU", "true")
        threads = torch.get_num_threads()
        yield {name: importlib.import_module(name) for name in SCRIPTS}
        torch.set_num_threads(threads)
        for name in SCRIPTS:
            sys.modules.pop(name, None)


def printed(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("mask", ["after", "before"])
@pytest.mark.parametrize("name", [*BACKBONES])
def test_the_alternative_scores_items_as_the_full_sort(scripts: dict[str, ModuleType], name, mask):
    generator = torch.Generator().manual_seed(0)
    catalog = Catalog.from_codes(torch.randint(4, (30, 3), generator=generator), codebook_size=4)
    torch.manual_seed(0)
    backbone = build_backbone(CONFIGS[name], catalog.vocab_size).eval()
    history = torch.tensor([[3, 7, 11]])
    found = full_sort(backbone, history, catalog, catalog.num_leaves, mask)
    log_probs = scripts["item_by_item"].ItemByItem(backbone, catalog).log_probs(history, mask)
    torch.testing.assert_close(log_probs[found.leaves[0]], found.leaf_log_probs[0])


@pytest.mark.slow
def test_exact_search_benchmark(scripts, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("BEAMWISE_DATA", str(tmp_path))  # no real data: the simulated shop
    sizes = scripts["workload"].Sizes(backbones=CONFIGS, batch_size=8, num_shop_users=60)
    few = ("--repeats", "1", "--train-steps", "2", "--timed-users", "5")
    scripts["exact_search"].main([*few, "--item-by-item-users", "1", "--users", "9"], sizes)
    lines = printed(capsys)
    (check,) = [line for line in lines if line["kind"] == "check"]
    assert (check["equal"], check["users_with_the_same_leaves"]) == (True, 9)
    quality = [line for line in lines if line["kind"] == "quality"]
    assert [line["search"] for line in quality] == ["beam", "exact", "full sort"]
    assert quality[1]["recall@20"] == quality[2]["recall@20"]
    assert quality[0]["prefixes"]["max"] <= quality[2]["prefixes"]["max"]
    assert sum(line["kind"] == "comparison" for line in lines) == 5


def test_random_exactness(scripts, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["random_exactness.py", "--searches", "8"])
    scripts["random_exactness"].main()
    (line,) = printed(capsys)
    assert (line["wrong"], line["searches"]) == (0, 8)

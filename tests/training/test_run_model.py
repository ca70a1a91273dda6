"""Language models in run folders: training, checkpoints, references, and opening them again."""

import json
import shutil

import pytest
import torch

from beamwise.backbones import Pretrained, pretrained_loading
from beamwise.serving.recommender import Recommender
from beamwise.testing.processes import run_together
from beamwise.testing.tiny_language_models import randomize, tiny_model
from beamwise.tokenization.title_tokenizer import TitleTokenizer
from beamwise.training import run_model
from beamwise.training.checkpoint import BEST, LAST, read_tensors
from beamwise.training.metrics_log import read_metrics
from beamwise.training.run import open_run, train
from beamwise.training.run_data import RunData
from beamwise.training.run_model import model_to_train

from .conftest import TINY_LLM, lora

BEAR = {"name": "bear", "beam_width": 3}
PAIRWISE = {"name": "apao-pairwise", "eta": 0.5, "max_levels": 32}


def recommendations(run):
    """Of an opened run, for a known user, an unknown one and the exact search."""
    ids = run.items["item_id"]
    recommender = Recommender(run)
    return [
        recommender.recommend([[ids[3], ids[7]], []], top_k=5, exact=exact)
        for exact in (False, True)
    ]


def test_a_run_of_tiny_is_complete_and_opens_alone(make, titles, tmp_path):
    data = shutil.copytree(titles, tmp_path / "data")
    folder = train(make(data={"folder": data, "max_history": 3}))
    assert sorted(path.name for path in (folder / "model").iterdir()) == [
        "base.json",
        "config.json",
    ]
    shutil.rmtree(data)
    run = open_run(folder)
    assert isinstance(run.backbone, Pretrained)
    assert not run.backbone.training
    best, _ = read_tensors(folder / "checkpoint" / BEST)
    name = "model.model.embed_tokens.weight"
    assert torch.equal(run.backbone.state_dict()[name], best[name])
    assert "model.lm_head.weight" not in best  # the same numbers under a second name
    users = recommendations(run)
    assert all(len(items) == 5 for found in users for items in found)


@pytest.mark.parametrize(
    "objective",
    [
        {"name": "ce"},
        {"name": "msl"},
        BEAR,
        PAIRWISE,
    ],
    ids=lambda objective: objective["name"],
)
def test_every_objective_lowers_its_loss_on_titles(make, objective):
    folder = train(make(objective=objective, training={"epochs": 3, "batch_size": 32}))
    losses = [line["train_loss"] for line in read_metrics(folder / "metrics.jsonl", "epoch")]
    assert losses[-1] < losses[0]


def test_adapters_train_in_two_stages_and_only_they_are_kept(make, base):
    stages = ({"objective": {"name": "ce"}}, {"objective": {"name": "s-dpo"}, "epochs": 2})
    folder = train(make(backbone=lora(base), stages=stages))
    for file in ("stage-0/" + BEST, BEST):
        weights, _ = read_tensors(folder / "checkpoint" / file)
        assert all("lora_" in name for name in weights)
    last, _ = read_tensors(folder / "checkpoint" / LAST)
    assert all("lora_" in name for name in last if name.startswith("model."))
    run = open_run(folder)
    original = tiny_model(vocab_size=run.backbone.vocab_size)
    projection = run.backbone.model.model.layers[0].self_attn.q_proj
    ours = original.model.layers[0].self_attn.q_proj.weight
    assert torch.equal(projection.base_layer.weight, ours)
    assert bool(projection.lora_B.default.weight.any())
    lines = read_metrics(folder / "metrics.jsonl", "epoch")
    assert [line["stage"] for line in lines] == [0, 1, 1]


def test_a_folder_with_adapters_says_when_its_base_is_another(make, base, tmp_path, monkeypatch):
    moved = shutil.copytree(base, tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    folder = train(make(backbone=lora("base")))
    monkeypatch.chdir(base)
    open_run(folder)  # wherever one is
    other = tiny_model(vocab_size=400)
    randomize(other)
    other.save_pretrained(moved)
    with pytest.raises(ValueError, match=r"has other weights than those that .*run was trained on"):
        open_run(folder)
    with pytest.raises(ValueError, match="has other weights"):
        train(make(backbone=lora(moved)))
    shutil.rmtree(moved)
    with pytest.raises(ValueError, match="is no folder"):
        open_run(folder)


@pytest.mark.parametrize("kind", ["tiny", "adapters"])
def test_a_run_that_is_cut_short_continues_to_bit_identical_weights(make, base, kind):
    settings = {
        "backbone": lora(base) if kind == "adapters" else {"tiny": TINY_LLM | {"dropout": 0.2}},
        "objective": PAIRWISE,
        "training": {"epochs": 2, "batch_size": 16, "checkpoint_steps": 2},
    }
    whole = train(make("whole", **settings))

    def die(line):
        if line["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(make("cut", **settings), die)
    progress = json.loads(read_tensors(make("cut").out / "checkpoint" / LAST)[1]["progress"])
    assert progress["step"] == 2  # in the middle of an epoch, a step before the end came
    cut = train(make("cut", **settings))
    for file in (LAST, BEST):
        ours, theirs = (read_tensors(run / "checkpoint" / file)[0] for run in (cut, whole))
        assert ours.keys() == theirs.keys()
        for name, tensor in theirs.items():
            assert torch.equal(ours[name], tensor), name


def test_a_run_trained_whole_opens_without_the_model_that_it_began_with(make, base, tmp_path):
    folder = train(make(backbone={"model": str(shutil.copytree(base, tmp_path / "gone"))}))
    shutil.rmtree(tmp_path / "gone")
    before = torch.get_rng_state()
    opened = open_run(folder).backbone
    assert isinstance(opened, Pretrained)
    assert torch.equal(torch.get_rng_state(), before)  # no weight was drawn to be replaced
    best, _ = read_tensors(folder / "checkpoint" / BEST)
    for name, value in opened.state_dict().items():
        assert torch.equal(value, best[name]), name


def test_a_run_starts_from_the_weights_of_another(make):
    first = train(make("first"))
    rate = {"learning_rate": 1e-12}
    second = open_run(train(make("second", start_from=first, training=rate))).backbone
    for name, value in open_run(first).backbone.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], value, atol=1e-6, rtol=1e-5)


def test_weights_of_another_model_of_the_same_shapes_are_refused(make, base, tmp_path):
    first = train(make("first"))
    message = r"first was trained with backbone\.tiny\.num_heads=2, this run has 1"
    with pytest.raises(ValueError, match=message):
        train(make("second", backbone={"tiny": TINY_LLM | {"num_heads": 1}}, start_from=first))
    adapted = train(make("adapted", backbone=lora(base)))
    message = r"with backbone\.lora\.alpha=16\.0, this run has 3\.0: .* set backbone\.lora\.alpha="
    with pytest.raises(ValueError, match=message):
        train(make("third", backbone=lora(base, alpha=3), start_from=adapted))
    other = shutil.copytree(base, tmp_path / "other")
    model = tiny_model(vocab_size=TitleTokenizer.load(adapted / "tokenizer").vocab_size)
    randomize(model)
    model.save_pretrained(other)
    with pytest.raises(
        ValueError, match=r"has other weights than those that .*adapted was trained"
    ):
        train(make("fourth", backbone=lora(other), start_from=adapted))
    assert not (tmp_path / "fourth").exists()


def _train_and_count(config):
    train(config)
    return torch.distributed.get_world_size()


@pytest.mark.slow
def test_two_processes_train_adapters_together(make, base):
    settings = {
        "backbone": lora(base, dropout=0.0) | {"gradient_checkpointing": True},
        "stages": ({"objective": BEAR}, {"objective": {"name": "s-dpo"}}),
    }
    config = make("two", **settings)
    assert run_together(_train_and_count, config) == [2, 2]
    alone = train(make("one", **settings))
    ours, theirs = (read_metrics(run / "metrics.jsonl", "epoch") for run in (config.out, alone))
    assert len(ours) == len(theirs) == 2
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["train_loss"] == pytest.approx(other["train_loss"], rel=1e-4)
        assert mine["validation_loss"] == pytest.approx(other["validation_loss"], rel=1e-4)


def test_only_what_is_trained_is_optimised(make, base):
    from beamwise.training.optimization import build_optimizer

    config = make(backbone=lora(base))
    backbone = model_to_train(config, RunData.load(config.data).catalog.vocab_size)
    groups = build_optimizer(backbone, config.training).param_groups
    optimised = {id(parameter) for group in groups for parameter in group["params"]}
    named = backbone.named_parameters()
    assert optimised == {id(parameter) for name, parameter in named if "lora_" in name}


def test_gradient_checkpointing_trains_to_the_same_weights(make, base):
    runs = [
        train(make(f"{again}", backbone=lora(base) | {"gradient_checkpointing": again}))
        for again in (False, True)
    ]
    plain, again = (read_tensors(run / "checkpoint" / LAST)[0] for run in runs)
    for name, tensor in plain.items():
        torch.testing.assert_close(again[name], tensor)


def test_titles_of_another_tokenizer_are_refused(make, base, tmp_path):
    from beamwise.tokenization.byte_pairs import learn_byte_pairs

    other = shutil.copytree(base, tmp_path / "other")
    learn_byte_pairs(["quite other words"], 300).save_pretrained(other)
    with pytest.raises(ValueError, match=r"tokenized for model 'tiny', backbone\.model is .*other"):
        train(make(backbone={"model": str(other)}))


def test_a_prompt_that_begins_twice_is_refused(make):
    for prompt in ({"template": "<|begin|>{history}\n"}, {"template": "{history}\n"}):
        once = prompt["template"] == "{history}\n"
        title = {"title": '<|begin|>"{title}"'} if once else {}
        config = make(backbone={"prompt": prompt | title})
        with pytest.raises(ValueError, match=r"prompt begins with '<\|begin\|>', which the") as no:
            train(config)
        assert "\n" not in str(no.value)
        assert not config.out.exists()
    within = make(backbone={"prompt": {"template": "a <|begin|>{history}\n"}})
    catalog = RunData.load(within.data).catalog
    backbone = model_to_train(within, catalog.vocab_size)
    tokens = backbone.encode_histories(torch.tensor([[5]]), catalog).tokens
    assert (tokens == backbone.titles.text.bos_token_id).sum() == 2


def test_data_without_a_tokenizer_of_titles_are_refused(make, shop_folder):
    with pytest.raises(ValueError, match="no tokenizer of titles at"):
        train(make(data={"folder": shop_folder}))


def test_prompts_hold_the_titles_of_the_history(make, titles):
    config = make()
    data = RunData.load(config.data)
    backbone = model_to_train(config, data.catalog.vocab_size)
    items = torch.tensor([[5, 2, -1], [-1, -1, -1]])
    history = backbone.encode_histories(items, data.catalog)
    texts = [
        backbone.titles.text.decode(row[:length], skip_special_tokens=True)
        for row, length in zip(history.tokens, history.lengths, strict=True)
    ]
    names = data.items["title"]
    assert texts == [f'"{names[5]}", "{names[2]}"\n', "nothing yet\n"]
    with pytest.raises(ValueError, match="history has item index 200, the catalog has items"):
        backbone.encode_histories(torch.tensor([[200]]), data.catalog)


def test_a_prompt_longer_than_the_models_positions_is_refused_before_training(make, monkeypatch):
    config = make()
    data = RunData.load(config.data)
    backbone = model_to_train(config, data.catalog.vocab_size)
    lengths = [
        int(backbone.encode_histories(windows.histories(row), data.catalog).lengths)
        for windows in (data.train, data.validation, data.test)
        for row in torch.arange(len(windows)).split(1)
    ]
    limit = max(lengths) + data.catalog.num_levels
    backbone.model.config.max_position_embeddings = limit
    monkeypatch.setattr(run_model, "HISTORIES_AT_ONCE", 7)
    run_model.check_prompts(backbone, data)
    backbone.model.config.max_position_embeddings = limit - 10
    with pytest.raises(ValueError, match=r"than the \d+ positions .* lower data.max_history"):
        run_model.check_prompts(backbone, data)
    monkeypatch.setattr(pretrained_loading, "TINY_POSITIONS", limit - 10)
    with pytest.raises(ValueError, match=r"than the \d+ positions"):
        train(config)
    assert not config.out.exists()

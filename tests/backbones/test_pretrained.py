import copy
from dataclasses import replace

import pytest
import torch

from beamwise import Catalog
from beamwise.backbones import Pretrained, PretrainedConfig
from beamwise.backbones.base import History
from beamwise.backbones.pretrained_config import LoraConfig
from beamwise.decoding import beam_search, full_sort
from beamwise.testing.backbone_conformance import (
    BackboneConformance,
    random_history,
    random_tree,
)
from beamwise.testing.brute_force import BruteForce
from beamwise.testing.host_syncs import forbid_host_syncs
from beamwise.testing.tiny_language_models import tiny_model

LORA = LoraConfig(r=2, alpha=6, dropout=0.5)


def make(kind="llama", vocab_size=23, **settings):
    """In float64 and evaluation mode; `model` only names it."""
    model = tiny_model(kind, vocab_size, num_key_value_heads=2)
    backbone = Pretrained(model, PretrainedConfig(model=kind, **settings))
    torch.manual_seed(1)
    for parameter in backbone.parameters():
        if parameter.requires_grad and settings.get("lora"):
            parameter.data += 0.3 * torch.randn_like(parameter)
    return backbone.double().eval()


class TestLlamaConformance(BackboneConformance):
    def make(self):
        return make()


class TestAdaptersConformance(BackboneConformance):
    def make(self):
        return make(lora=LORA)


class TestCheckpointedConformance(BackboneConformance):
    def make(self):
        return make(gradient_checkpointing=True, lora=LORA)


class TestQwen2Conformance(BackboneConformance):
    def make(self):
        return make("qwen2")


class TestGPTNeoXConformance(BackboneConformance):
    def make(self):
        return make("gpt_neox")


@torch.no_grad()
def logits_after(model, tokens):
    """Next-token logits of one sequence, by transformers alone."""
    return model(input_ids=torch.tensor([tokens])).logits[0, -1]


def path_to(nodes, row, node):
    path = []
    while int(nodes.parents[row, node]) >= 0:
        path.insert(0, int(nodes.tokens[row, node]))
        node = int(nodes.parents[row, node])
    return path


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt_neox", "gpt2", "phi"])  # phi: a bias
def test_a_node_has_the_logits_of_the_whole_sequence_that_it_ends(kind):
    backbone = make(kind)
    model = tiny_model(kind, num_key_value_heads=2).double()
    history = random_history(3, 9, 23, seed=3)
    nodes = random_tree(history.lengths, 9, 23, seed=2)
    logits = backbone.logits(backbone(history, nodes))
    for row, length in enumerate(history.lengths.tolist()):
        for node in range(9):
            tokens = history.tokens[row, :length].tolist() + path_to(nodes, row, node)
            torch.testing.assert_close(logits[row, node], logits_after(model, tokens))


def test_same_gradient_as_transformers():
    backbone, model = make(), tiny_model(num_key_value_heads=2).double()
    history = random_history(1, 6, 23, seed=3)
    history = History(history.tokens, torch.tensor([6]))
    nodes = random_tree(history.lengths, 7, 23, seed=2)
    backbone.logits(backbone(history, nodes)).logsumexp(-1).sum().backward()
    for node in range(7):
        tokens = torch.tensor([history.tokens[0].tolist() + path_to(nodes, 0, node)])
        model(input_ids=tokens).logits[0, -1].logsumexp(-1).backward()
    theirs = dict(model.named_parameters())
    for name, parameter in backbone.model.named_parameters():
        # transformers forms norms in fp32, whatever the weights are
        torch.testing.assert_close(parameter.grad, theirs[name].grad, atol=1e-5, rtol=1e-5)


def catalog_of_titles():
    """Paths of 1 to 4 tokens that share beginnings, long runs without a choice, one title twice."""
    titles = [[5], [5, 6, 7], [5, 6, 7, 8], [9, 9, 9, 9], [10], [5, 11], [9, 3], [5, 6, 7]]
    lengths = [len(title) for title in titles]
    padded = [title + [0] * (4 - len(title)) for title in titles]
    return Catalog.from_tokens(padded, lengths, end_token=2, vocab_size=23), [
        (*title, 2) for title in titles
    ]


class Written(Pretrained):
    """Prompts are given as tokens: items' indices shifted past 11."""

    def encode_histories(self, item_indices, catalog):
        lengths = (item_indices >= 0).sum(1) + 1
        tokens = torch.nn.functional.pad(item_indices.clamp(min=-1) + 12, (1, 0), value=3)
        return History(tokens.clamp(min=0), lengths)


@pytest.mark.parametrize("mask", ["after", "before"])
def test_searches_equal_scoring_one_by_one_with_transformers_alone(mask):
    catalog, paths = catalog_of_titles()
    backbone = Written(tiny_model(num_key_value_heads=2)).double().eval()
    model = tiny_model(num_key_value_heads=2).double()
    histories = torch.tensor([[4, 1, 7], [2, -1, -1], [-1, -1, -1]])
    found = {
        "sort": full_sort(backbone, histories, catalog, 6, mask=mask),
        "beam": beam_search(backbone, histories, catalog, 2, 6, mask=mask),
    }
    for user, history in enumerate(histories.tolist()):
        prompt = [3] + [index + 12 for index in history if index >= 0]
        naive = BruteForce(
            paths,
            lambda prefix, prompt=prompt: logits_after(model, [*prompt, *prefix]).tolist(),
            mask,
        )
        expected = {"sort": naive.full_sort(6), "beam": naive.beam_search([2] * 5, 6)}
        for name, result in found.items():
            count = len(expected[name].items)
            assert result.items[user, :count].tolist() == expected[name].items
            scores = torch.tensor(expected[name].log_probs, dtype=torch.float64)
            # norms and rotations are formed in fp32, whatever the weights are
            torch.testing.assert_close(
                result.log_probs[user, :count].double(), scores, atol=1e-5, rtol=1e-5
            )


def test_several_tokens_of_a_prefix_at_once_are_the_same_as_one_by_one():
    backbone = make()
    history = History(torch.tensor([[4, 5, 6]]), torch.tensor([3]))
    chain = torch.arange(6)[None]
    nodes = random_tree(history.lengths, 6, 23, seed=2)
    nodes = type(nodes)(nodes.tokens, chain - 1, chain, nodes.context_length)
    context, cache, parts = backbone.read(history), None, []
    for column in range(6):
        hidden, cache = backbone.extend(
            context, nodes.map(lambda part, c=column: part[:, c : c + 1]), cache
        )
        parts.append(hidden)
    at_once, _ = backbone.extend(context, nodes)
    torch.testing.assert_close(torch.cat(parts, 1), at_once)


def test_only_roots_need_no_pass():
    backbone = make()
    history = random_history(3, 6, 23, seed=3)
    lengths = history.lengths[:, None]
    none = torch.full_like(lengths, -1)
    roots = type(random_tree(history.lengths, 1, 23, 0))(
        torch.zeros_like(lengths), none, torch.zeros_like(lengths), lengths, (0,)
    )
    context = backbone.read(history)
    hidden, cache = backbone.extend(context, roots)
    assert cache.keys == ()
    last = (history.lengths - 1)[:, None, None].expand(-1, -1, 16)
    torch.testing.assert_close(hidden, context.hidden.gather(1, last))
    torch.testing.assert_close(backbone(history, roots), hidden)


def test_bf16_products_stay_close_and_logits_are_fp32():
    history = random_history(3, 6, 23, seed=3)
    nodes = random_tree(history.lengths, 5, 23, seed=2)
    backbone = make().float()
    expected = backbone.logits(backbone(history, nodes))
    with torch.autocast("cpu", torch.bfloat16):
        logits = backbone.logits(backbone(history, nodes))
    assert logits.dtype == torch.float32
    assert not torch.equal(logits, expected)
    # bf16 keeps 8 bits: 0.4 % a rounding, some dozens of them on the way
    torch.testing.assert_close(logits, expected, atol=0.1, rtol=0.05)


def test_base_weights_in_bf16_stay_close_while_adapters_and_logits_are_fp32(tmp_path):
    model = tiny_model(num_key_value_heads=2)
    expected = Pretrained(model)
    half = tiny_model(num_key_value_heads=2).bfloat16()
    config = PretrainedConfig(model="folder", base_precision="bf16", lora=LORA)
    backbone = Pretrained(half, config).eval()
    dtypes = {parameter.dtype for parameter in backbone.parameters() if parameter.requires_grad}
    assert dtypes == {torch.float32}
    assert backbone.model.model.layers[0].mlp.up_proj.weight.dtype == torch.bfloat16
    history = random_history(3, 6, 23, seed=3)
    nodes = random_tree(history.lengths, 5, 23, seed=2)
    hidden = backbone(history, nodes)
    assert hidden.dtype == backbone.logits(hidden).dtype == torch.float32
    whole = expected.logits(expected(history, nodes))
    # fresh adapters change nothing; the rest is the rounding of bf16
    torch.testing.assert_close(backbone.logits(hidden), whole, atol=0.15, rtol=0.05)
    extended, _ = backbone.extend(backbone.read(history), nodes)
    torch.testing.assert_close(extended, hidden, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_training_never_waits_for_the_device(checkpointing):
    backbone = make(lora=LORA, gradient_checkpointing=checkpointing).train()
    history = random_history(3, 6, 23, seed=3)
    nodes = random_tree(history.lengths, 5, 23, seed=2)
    nodes = replace(nodes, first_of_depth=(0,) * 5)
    with forbid_host_syncs():
        backbone.logits(backbone(history, nodes)).sum().backward()
    trained = [parameter for parameter in backbone.parameters() if parameter.requires_grad]
    assert all(parameter.grad is not None for parameter in trained)


def test_only_adapters_are_trained():
    backbone = make(lora=LORA)
    trained = {name for name, p in backbone.named_parameters() if p.requires_grad}
    assert trained == {
        f"model.model.layers.{layer}.self_attn.{part}_proj.lora_{side}.default.weight"
        for layer in range(2)
        for part in "qv"
        for side in "AB"
    }


def test_adapters_merge_into_a_model_that_transformers_runs_alone(tmp_path):
    from transformers import AutoModelForCausalLM

    backbone = make(lora=LORA).float()
    backbone.model.generation_config.temperature = 0.1
    history = History(torch.tensor([[4, 5, 6, 7]]), torch.tensor([4]))
    root = random_tree(history.lengths, 1, 23, seed=0)
    ours = backbone.logits(backbone(history, root))[0, 0]
    frozen = [p.clone() for p in backbone.parameters()]
    backbone.save_pretrained(tmp_path / "merged")
    for before, after in zip(frozen, backbone.parameters(), strict=True):
        assert torch.equal(before, after)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert not any("lora" in name for name, _ in loaded.named_parameters())
    torch.testing.assert_close(logits_after(loaded, [4, 5, 6, 7]), ours.detach())
    base = tiny_model(num_key_value_heads=2)
    assert not torch.allclose(logits_after(base, [4, 5, 6, 7]), ours)
    assert loaded.generation_config.temperature is None


def test_settings_of_generation_change_nothing():
    model = tiny_model()
    plain = Pretrained(tiny_model())
    model.generation_config.repetition_penalty = 9.0
    model.generation_config.forced_bos_token_id = 3
    history = random_history(2, 5, 23, seed=3)
    nodes = random_tree(history.lengths, 4, 23, seed=2)
    assert torch.equal(Pretrained(model)(history, nodes), plain(history, nodes))


def test_dropout_of_adapters_acts_in_training_mode_only():
    backbone = make(lora=LORA)
    history = random_history(2, 5, 23, seed=3)
    nodes = random_tree(history.lengths, 4, 23, seed=2)
    quiet = backbone(history, nodes)
    assert torch.equal(backbone(history, nodes), quiet)
    backbone.train()
    assert not torch.allclose(backbone(history, nodes), quiet)


@pytest.mark.parametrize(
    ("kind", "setting"), [("llama", "max_position_embeddings"), ("gpt2", "n_positions")]
)
def test_the_models_positions_bound_prompt_and_title(kind, setting):
    backbone = Pretrained(tiny_model(kind, **{setting: 16}), PretrainedConfig(model="small"))
    backbone._check_lengths(torch.tensor([2, 12]), 4)
    message = r"a prompt of 13 tokens and a title of 4 .* the 16 positions of model 'small'"
    with pytest.raises(ValueError, match=message):
        backbone._check_lengths(torch.tensor([2, 13]), 4)
    with pytest.raises(ValueError, match="a prompt without a token"):
        backbone._check_lengths(torch.tensor([2, 0]), 4)


def test_a_model_without_numbers_is_tried_with_the_first_that_are_loaded():
    def follow(kind, **settings):
        return Pretrained(tiny_model(kind, **settings), weights_follow=True)

    scaled = follow("granite", logits_scaling=8.0)
    with pytest.raises(ValueError, match="caps or scales its logits"):
        scaled.load_state_dict(scaled.state_dict())
    good = follow("llama")
    with torch.no_grad():
        for parameter in good.parameters():
            parameter.fill_(torch.nan)
    copied = copy.deepcopy(good)
    weights = Pretrained(tiny_model()).state_dict()
    for backbone in (good, copied):
        torch.nn.ModuleList([backbone]).load_state_dict({f"0.{k}": v for k, v in weights.items()})
        backbone.load_state_dict({k: v * torch.nan for k, v in weights.items()})  # tried once

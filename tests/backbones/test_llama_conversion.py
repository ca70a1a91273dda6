import pytest
import torch
from transformers import LlamaConfig as TransformersConfig
from transformers import LlamaForCausalLM

from beamwise.backbones import Llama, LlamaConfig
from beamwise.backbones.llama_conversion import config_of, half_a_head_apart, side_by_side

SIZES = LlamaConfig(
    dim=8,
    num_layers=2,
    num_heads=2,
    head_dim=6,
    feedforward_dim=12,
    rope_theta=123.0,
    dropout=0.25,
    layer_norm_eps=1e-5,
)


def make(**settings):
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "vocab_size": 9}
    sizes |= {"num_attention_heads": 2, "tie_word_embeddings": True}
    return LlamaForCausalLM(TransformersConfig(**(sizes | settings)))


def test_sizes_survive_the_way_there_and_back():
    assert config_of(Llama(SIZES, 20).to_huggingface()) == SIZES


def test_every_weight_survives_the_way_there_and_back():
    llama = Llama(SIZES, 20)
    for parameter in llama.parameters():
        parameter.data.normal_()
    back = Llama.from_huggingface(llama.to_huggingface())
    for name, value in llama.state_dict().items():
        assert torch.equal(back.state_dict()[name], value), name


def test_pairs_move_side_by_side():
    # one head of 4 after another: rows 0 and 2 turn together, and rows 1 and 3
    rows = torch.arange(8.0)[:, None]
    moved = side_by_side(rows, 4)
    assert moved[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    assert torch.equal(half_a_head_apart(moved, 4), rows)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_key_value_heads": 1}, "num_key_value_heads=1: Llama has num_key_value_heads=2"),
        ({"hidden_act": "gelu"}, "hidden_act='gelu'"),
        ({"attention_bias": True}, "attention_bias=True"),
        ({"mlp_bias": True}, "mlp_bias=True"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings=False"),
        (
            {"rope_parameters": {"rope_type": "linear", "rope_theta": 10.0, "factor": 2.0}},
            "rope_type='linear'",
        ),
    ],
)
def test_a_llama_with_other_parts_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Llama.from_huggingface(make(**settings))


def test_sizes_that_transformers_has_not_are_refused():
    config = LlamaConfig(dim=9, num_layers=1, num_heads=2, head_dim=4, feedforward_dim=8)
    with pytest.raises(ValueError, match=r"dim=9 is no multiple of num_heads=2"):
        Llama(config, 9).to_huggingface()

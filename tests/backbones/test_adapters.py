import pytest
import torch

from beamwise.backbones.adapters import add_adapters, merged_copy
from beamwise.backbones.pretrained_config import LoraConfig
from beamwise.testing.tiny_language_models import randomize, tiny_model

TOKENS = torch.tensor([[3, 4, 5, 6]])


def test_fresh_adapters_change_nothing_and_are_scaled_by_alpha_over_r():
    model, base = tiny_model(), tiny_model()
    add_adapters(model, LoraConfig(r=2, alpha=6))
    assert torch.equal(model(TOKENS).logits, base(TOKENS).logits)
    layer = model.model.layers[0].self_attn.q_proj
    inputs = torch.randn(3, 16)
    with torch.no_grad():
        layer.lora_B.default.weight.normal_()
        down, up = layer.lora_A.default.weight, layer.lora_B.default.weight
        expected = inputs @ layer.base_layer.weight.T + 3 * (inputs @ down.T @ up.T)
        torch.testing.assert_close(layer(inputs), expected)


def test_a_merged_copy_has_the_logits_and_the_names_of_the_plain_model():
    model = tiny_model()
    add_adapters(model, LoraConfig(r=2))
    randomize(model)
    merged = merged_copy(model)
    torch.testing.assert_close(merged(TOKENS).logits, model(TOKENS).logits)
    assert merged.state_dict().keys() == tiny_model().state_dict().keys()
    assert all(parameter.requires_grad for parameter in merged.parameters())
    assert merged.lm_head.weight is not model.lm_head.weight


def test_a_name_that_no_layer_has_is_refused_with_those_that_there_are():
    message = "'q_proj' is the name of no layer: the linear layers of GPTNeoX.*query_key_value$"
    with pytest.raises(ValueError, match=message) as refused:
        add_adapters(tiny_model("gpt_neox"), LoraConfig())
    assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match="'v_prj' is the name of no layer"):
        add_adapters(tiny_model(), LoraConfig(target_modules=("q_proj", "v_prj")))
    with pytest.raises(ValueError, match=r"\['norm'\] cannot be adapted \(Target module"):
        add_adapters(tiny_model(), LoraConfig(target_modules=("norm",)))


def test_the_names_are_those_of_layers_that_may_be_adapted():
    message = r"linear layers of GPT2LMHeadModel are c_attn, c_fc, c_proj$"
    with pytest.raises(ValueError, match=message):
        add_adapters(tiny_model("gpt2"), LoraConfig())


def test_the_output_embedding_is_not_adapted():
    with pytest.raises(ValueError, match="adapts the output embedding"):
        add_adapters(tiny_model(tie_word_embeddings=False), LoraConfig(target_modules=("lm_head",)))


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`")
def test_an_input_embedding_is_adapted_only_where_it_is_not_the_output_embedding_too():
    config = LoraConfig(r=2, target_modules=("embed_tokens",))
    with pytest.raises(ValueError, match="input embedding that shares its weights"):
        add_adapters(tiny_model(tie_word_embeddings=True), config)
    model = tiny_model(tie_word_embeddings=False)
    add_adapters(model, config)
    randomize(model)
    torch.testing.assert_close(merged_copy(model)(TOKENS).logits, model(TOKENS).logits)

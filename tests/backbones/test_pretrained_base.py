import torch

from beamwise.backbones.adapters import add_adapters
from beamwise.backbones.pretrained_base import on_same_weights
from beamwise.backbones.pretrained_config import LoraConfig
from beamwise.testing.tiny_language_models import randomize, tiny_model

TOKENS = torch.tensor([[3, 4, 5, 6]])


def test_adapters_are_left_behind_and_weights_are_the_same_tensors():
    model = tiny_model(tie_word_embeddings=True)
    expected, names = model(TOKENS).logits, [name for name, _ in model.named_parameters()]
    weights = {parameter.data_ptr() for parameter in model.parameters()}
    add_adapters(model, LoraConfig(r=2, target_modules=("q_proj", "down_proj")))
    randomize_adapters(model)
    adapted, keys = model(TOKENS).logits, model.state_dict().keys()
    bare = on_same_weights(model)
    assert [name for name, _ in bare.named_parameters()] == names
    assert {parameter.data_ptr() for parameter in bare.parameters()} == weights
    assert bare.lm_head.weight is bare.model.embed_tokens.weight
    assert torch.equal(bare(TOKENS).logits, expected)
    assert torch.equal(model(TOKENS).logits, adapted)
    assert not torch.equal(adapted, expected)
    add_adapters(bare, LoraConfig(r=3))
    randomize_adapters(bare)
    assert model.state_dict().keys() == keys
    assert torch.equal(model(TOKENS).logits, adapted)


def randomize_adapters(model):
    randomize(torch.nn.ParameterList(p for p in model.parameters() if p.requires_grad))

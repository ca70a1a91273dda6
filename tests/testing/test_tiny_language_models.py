import torch

from beamwise.testing.tiny_language_models import randomize, tiny_model


def test_the_same_call_gives_the_same_weights_and_leaves_the_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, second = tiny_model(), tiny_model()
    assert torch.equal(torch.rand(1), expected)
    for ours, theirs in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert not first.training
    assert first.config._attn_implementation == "sdpa"


def test_no_weight_is_left_constant():
    model = tiny_model("gpt_neox")
    assert all(float(parameter.std().detach()) > 0.1 for parameter in model.parameters())
    plain = torch.nn.Linear(2, 2)
    before = plain.bias.detach().clone()
    randomize(plain)
    assert not torch.equal(plain.bias, before)

import pytest
import torch

from beamwise.backbones.layer_checkpointing import checkpointed_layers
from beamwise.testing.tiny_language_models import tiny_model

TOKENS = torch.tensor([[3, 4, 5, 6]])


def runs_of_first_layer(model, training):
    """How often its first norm runs in a forward and backward pass, and the gradient."""
    model.train(training)
    counts = []
    hook = model.model.layers[0].input_layernorm.register_forward_hook(lambda *_: counts.append(1))
    torch.manual_seed(0)
    model.model(input_ids=TOKENS, use_cache=False).last_hidden_state.sum().backward()
    hook.remove()
    return len(counts), model.model.embed_tokens.weight.grad.clone()


@pytest.mark.parametrize("training", [True, False])
def test_layers_run_again_in_the_backward_pass_in_either_mode(training):
    plain = runs_of_first_layer(tiny_model(attention_dropout=0.5), training)
    model = tiny_model(attention_dropout=0.5)
    model.train(training)
    with checkpointed_layers(model):
        again = runs_of_first_layer_inside(model)
    assert (plain[0], again[0]) == (1, 2)
    torch.testing.assert_close(again[1], plain[1])
    assert {module.training for module in model.modules()} == {training}
    assert not model.model.layers[0].gradient_checkpointing


def runs_of_first_layer_inside(model):
    """As `runs_of_first_layer`, leaving the modes alone."""
    counts = []
    hook = model.model.layers[0].input_layernorm.register_forward_hook(lambda *_: counts.append(1))
    torch.manual_seed(0)
    model.model(input_ids=TOKENS, use_cache=False).last_hidden_state.sum().backward()
    hook.remove()
    return len(counts), model.model.embed_tokens.weight.grad.clone()


def test_a_backward_pass_after_the_switch_is_off_recomputes_too():
    plain = runs_of_first_layer(tiny_model(attention_dropout=0.5), True)[1]
    model = tiny_model(attention_dropout=0.5).train()
    torch.manual_seed(0)
    with checkpointed_layers(model):
        total = model.model(input_ids=TOKENS, use_cache=False).last_hidden_state.sum()
    total.backward()
    torch.testing.assert_close(model.model.embed_tokens.weight.grad, plain)


def test_a_model_without_such_layers_is_refused():
    with (
        pytest.raises(ValueError, match="Linear has no layers that can be recomputed"),
        checkpointed_layers(torch.nn.Linear(1, 1)),
    ):
        pass

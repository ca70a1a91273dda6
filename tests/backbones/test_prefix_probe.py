import pytest
import torch

from beamwise.backbones import Pretrained
from beamwise.testing.tiny_language_models import tiny_model


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "gpt_neox", "gpt2", "gemma", "opt"])
def test_models_with_full_attention_and_plain_logits_are_taken(kind):
    settings = {"word_embed_proj_dim": 16, "ffn_dim": 16} if kind == "opt" else {}
    settings |= {"head_dim": 4} if kind == "qwen3" else {}
    model = tiny_model(kind, num_key_value_heads=2, **settings)
    assert Pretrained(model).vocab_size == model.config.vocab_size


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("mistral", {"sliding_window": 4}, r"every token of every layer \(DynamicSlidingWindow"),
        ("granite", {"logits_scaling": 8.0}, "caps or scales its logits"),
        ("cohere", {}, "caps or scales its logits"),
        ("jamba", {}, r"every token of every layer \(LinearAttentionLayer\)"),
    ],
)
def test_models_that_cannot_share_a_context_are_refused(kind, settings, message):
    with pytest.raises(ValueError, match=message) as refused:
        Pretrained(tiny_model(kind, **settings))
    assert "\n" not in str(refused.value)


def test_another_attention_is_refused():
    model = tiny_model()
    model.set_attn_implementation("eager")
    with pytest.raises(ValueError, match="attends with 'eager': only 'sdpa' is right"):
        Pretrained(model)


class Capped(torch.nn.Linear):
    """Fresh weights give logits far below the cap."""

    def forward(self, hidden):
        return 30 * torch.tanh(super().forward(hidden) / 30)


def test_a_cap_that_fresh_weights_never_reach_is_seen():
    model = tiny_model()
    head = Capped(16, 23, bias=False)
    head.weight = torch.nn.Parameter(0.01 * model.lm_head.weight.detach())
    model.lm_head = head
    with pytest.raises(ValueError, match="cannot be run over prefix trees"):
        Pretrained(model)


def test_a_model_that_fails_is_refused_with_its_reason():
    model = tiny_model()

    def fail(*_args, **_kwargs):
        raise RuntimeError("no such thing\nas a second line")

    model.model.forward = fail
    with pytest.raises(ValueError, match=r"prefix trees \(no such thing\)"):
        Pretrained(model)

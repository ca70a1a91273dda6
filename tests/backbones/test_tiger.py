import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

from beamwise import Catalog
from beamwise.backbones import PrefixNodes, Tiger, TigerConfig, build_backbone
from beamwise.backbones.base import History
from beamwise.testing.backbone_conformance import (
    BackboneConformance,
    random_history,
    random_tree,
)

SMALL = TigerConfig(
    dim=12,
    num_encoder_layers=2,
    num_decoder_layers=3,
    num_heads=2,
    head_dim=5,
    feedforward_dim=16,
    num_buckets=8,
    max_distance=12,
)


class TestTigerConformance(BackboneConformance):
    def make(self):
        return Tiger(SMALL, self.vocab_size).double().eval()


class TestCheckpointedTigerConformance(BackboneConformance):
    def make(self):
        config = SMALL.model_copy(update={"gradient_checkpointing": True})
        return Tiger(config, self.vocab_size).double().eval()


def make_t5(**settings):
    torch.manual_seed(0)
    sizes = {"d_model": 16, "d_kv": 6, "d_ff": 24, "num_layers": 2, "num_decoder_layers": 3}
    sizes |= {"num_heads": 3, "decoder_start_token_id": 0, "relative_attention_max_distance": 20}
    config = T5Config(vocab_size=31, feed_forward_proj="relu", **(sizes | settings))
    model = T5ForConditionalGeneration(config).eval()
    for parameter in model.parameters():  # fresh biases and norms are constants: tell them apart
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def path_of(tokens, lengths):
    depth = torch.arange(tokens.shape[1]).expand_as(tokens)
    return PrefixNodes(tokens, depth - 1, depth, lengths[:, None].expand_as(tokens))


def t5_logits(model, history, tokens):
    position = torch.arange(history.tokens.shape[1])
    mask = (position < history.lengths[:, None]).long()
    return model(input_ids=history.tokens, attention_mask=mask, decoder_input_ids=tokens).logits


@pytest.mark.parametrize("scaled", [True, False])
def test_same_logits_as_the_t5_it_came_from_and_goes_to(scaled):
    model = make_t5(tie_word_embeddings=scaled)
    tiger = Tiger.from_huggingface(model)
    history = random_history(5, 40, 31, seed=3)  # the first history is the empty one
    tokens = torch.randint(2, 31, (5, 6), generator=torch.Generator().manual_seed(4))
    tokens[:, 0] = 0
    expected = t5_logits(model, history, tokens)
    nodes = path_of(tokens, history.lengths)
    torch.testing.assert_close(tiger.logits(tiger(history, nodes)), expected, atol=1e-4, rtol=0)
    back = tiger.to_huggingface()
    torch.testing.assert_close(t5_logits(back, history, tokens), expected, atol=1e-4, rtol=0)
    assert not tiger.training
    assert not back.training


def test_random_tiger_to_huggingface_keeps_logits():
    tiger = Tiger(SMALL, 31).eval()
    history = random_history(3, 7, 31, seed=0)
    tokens = torch.tensor([[0, 4, 5, 9]]).expand(3, -1)
    ours = tiger.logits(tiger(history, path_of(tokens, history.lengths)))
    theirs = t5_logits(tiger.to_huggingface(), history, tokens)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_same_gradient_as_the_t5():
    model = make_t5()
    tiger = Tiger.from_huggingface(model)
    history = random_history(2, 9, 31, seed=3)
    tokens = torch.tensor([[0, 5, 6], [0, 7, 8]])
    t5_logits(model, history, tokens).logsumexp(-1).sum().backward()
    hidden = tiger(history, path_of(tokens, history.lengths))
    tiger.logits(hidden).logsumexp(-1).sum().backward()
    torch.testing.assert_close(tiger.embedding.weight.grad, model.shared.weight.grad)
    theirs = model.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight.grad
    torch.testing.assert_close(tiger.encoder_bias.weight.grad, theirs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"feed_forward_proj": "gated-gelu"}, "feed_forward_proj='gated-gelu'"),
        ({"decoder_start_token_id": 5}, "decoder_start_token_id=5"),
    ],
)
def test_a_t5_with_other_parts_is_refused(settings, message):
    config = {"vocab_size": 31, "d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}
    model = T5ForConditionalGeneration(T5Config(**(config | settings)))
    with pytest.raises(ValueError, match=message):
        Tiger.from_huggingface(model)


def test_an_untied_t5_is_refused():
    model = make_t5()
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.clone())
    with pytest.raises(ValueError, match="not tied"):
        Tiger.from_huggingface(model)


def test_preset_has_the_papers_size():
    tiger = build_backbone(TigerConfig(), 2 + 4 * 256)
    assert round(sum(p.numel() for p in tiger.parameters()) / 1e6, 2) == 4.59


def test_a_node_that_sees_less_context_ignores_the_rest():
    tiger = Tiger(SMALL, 23).double().eval()
    history = random_history(2, 9, 23, seed=1)
    history = History(history.tokens, torch.tensor([9, 9]))
    nodes = random_tree(torch.tensor([4, 4]), 5, 23, seed=2)
    context = tiger.read(history)
    shorter = type(context)(
        tuple(keys[:, :, :4] for keys in context.keys),
        tuple(values[:, :, :4] for values in context.values),
        torch.tensor([4, 4]),
    )
    torch.testing.assert_close(tiger.extend(context, nodes)[0], tiger.extend(shorter, nodes)[0])


def test_dropout_acts_in_training_only():
    tiger = Tiger(SMALL, 23)
    history, nodes = (
        random_history(2, 9, 23, seed=1),
        random_tree(torch.tensor([1, 9]), 5, 23, seed=2),
    )
    torch.manual_seed(0)
    first, second = tiger(history, nodes), tiger(history, nodes)
    assert not torch.equal(first, second)
    tiger.eval()
    assert torch.equal(tiger(history, nodes), tiger(history, nodes))


def test_checkpointed_training_repeats_its_dropout():
    history, nodes = (
        random_history(2, 9, 23, seed=1),
        random_tree(torch.tensor([1, 9]), 5, 23, seed=2),
    )
    gradients = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        config = SMALL.model_copy(update={"gradient_checkpointing": checkpointing})
        tiger = Tiger(config, 23)
        torch.manual_seed(1)
        tiger(history, nodes).square().sum().backward()
        gradients.append([p.grad for p in tiger.parameters()])
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, checkpointed)


def test_histories_are_tokens_and_one_end_token():
    catalog = Catalog.from_codes(torch.tensor([[0, 1], [2, 0]]), codebook_size=4)
    history = Tiger(SMALL, 10).encode_histories(torch.tensor([[1, 0], [-1, -1]]), catalog)
    assert history.tokens.tolist() == [[4, 6, 2, 7, 1], [1, 0, 0, 0, 0]]
    assert history.lengths.tolist() == [5, 1]


def test_cache_rows_can_be_selected():
    tiger = Tiger(SMALL, 23).double().eval()
    history = random_history(3, 6, 23, seed=1)
    nodes = random_tree(history.lengths, 4, 23, seed=2)
    context = tiger.read(history)
    first, rest = nodes.map(lambda part: part[:, :2]), nodes.map(lambda part: part[:, 2:])
    _, cache = tiger.extend(context, first)
    hidden, _ = tiger.extend(context, rest, cache)
    rows = torch.tensor([2, 0])
    chosen = rest.map(lambda part: part[rows])
    again, _ = tiger.extend(context.select(rows), chosen, cache.select(rows))
    torch.testing.assert_close(again, hidden[rows])


def test_logits_are_fp32_under_lower_precision():
    tiger = Tiger(SMALL, 23).eval()
    hidden = torch.randn(2, 3, SMALL.dim)
    with torch.autocast("cpu", torch.bfloat16):
        lower = tiger.logits(hidden)
    assert lower.dtype == torch.float32
    assert torch.equal(lower, tiger.logits(hidden))

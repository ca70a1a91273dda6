import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from transformers import LlamaConfig as TransformersConfig
from transformers import LlamaForCausalLM

from beamwise import Catalog
from beamwise.backbones import AnyBackboneConfig, Llama, LlamaConfig, PrefixNodes, build_backbone
from beamwise.backbones.base import History
from beamwise.decoding import beam_search, full_sort
from beamwise.testing.backbone_conformance import (
    BackboneConformance,
    random_history,
    random_tree,
)
from beamwise.testing.brute_force import BruteForce

SMALL = LlamaConfig(dim=12, num_layers=3, num_heads=2, head_dim=6, feedforward_dim=16)


class TestLlamaConformance(BackboneConformance):
    def make(self):
        return distinct(Llama(SMALL, self.vocab_size).double().eval())


class TestCheckpointedLlamaConformance(BackboneConformance):
    def make(self):
        config = SMALL.model_copy(update={"gradient_checkpointing": True})
        return distinct(Llama(config, self.vocab_size).double().eval())


def distinct(model):
    """Fresh weights are small and norms are constant: make every part matter."""
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model


def make_llama(**changes):
    torch.manual_seed(0)
    return distinct(Llama(SMALL.model_copy(update=changes), 23).double().eval())


def make_transformers_llama(**settings):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "head_dim": 6}
    sizes |= {"num_attention_heads": 4, "vocab_size": 31, "tie_word_embeddings": True}
    sizes |= {"rope_parameters": {"rope_type": "default", "rope_theta": 700.0}}
    return distinct(LlamaForCausalLM(TransformersConfig(**(sizes | settings))).eval())


def sequence_logits(model, tokens):
    """Logits after each token of one sequence, by transformers."""
    return model(input_ids=torch.tensor([tokens])).logits[0]


def roots_at(lengths):
    """Roots that see these many tokens of their contexts; -1 is padding."""
    none = torch.full_like(lengths, -1)
    inside = lengths > 0
    return PrefixNodes(
        torch.where(inside, 0, none), none, torch.where(inside, 0, none), lengths, (0,)
    )


def test_same_logits_as_transformers_after_every_token():
    model = make_transformers_llama()
    llama = Llama.from_huggingface(model)
    tokens = torch.randint(2, 31, (3, 40), generator=torch.Generator().manual_seed(1))
    history = History(tokens, torch.full((3,), 40))
    hidden = llama(history, roots_at(torch.arange(1, 41).expand(3, -1)))
    expected = model(input_ids=tokens).logits
    torch.testing.assert_close(llama.logits(hidden), expected, atol=1e-4, rtol=0)
    back = llama.to_huggingface()
    torch.testing.assert_close(back(input_ids=tokens).logits, expected, atol=1e-4, rtol=0)
    assert not llama.training
    assert not back.training


def test_same_logits_as_a_left_padded_batch_of_transformers():
    model = make_transformers_llama()
    llama = Llama.from_huggingface(model)
    history = random_history(5, 20, 31, seed=3)  # the first history is the empty one
    width = history.tokens.shape[1]
    place = torch.arange(width) - (width - history.lengths[:, None])
    mask = (place >= 0).long()
    expected = model(
        input_ids=history.tokens.gather(1, place.clamp(min=0)),
        attention_mask=mask,
        position_ids=place.clamp(min=0),
    ).logits[:, -1]
    logits = llama.logits(llama(history, roots_at(history.lengths[:, None])))[:, 0]
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)


def test_a_node_has_the_logits_of_the_whole_sequence_that_it_ends():
    model = make_transformers_llama()
    llama = Llama.from_huggingface(model)
    history = random_history(3, 9, 31, seed=3)
    nodes = random_tree(history.lengths, 12, 31, seed=2)
    logits = llama.logits(llama(history, nodes))
    for row, length in enumerate(history.lengths.tolist()):
        for node in range(12):
            path, above = [], node
            while int(nodes.parents[row, above]) >= 0:
                path.insert(0, int(nodes.tokens[row, above]))
                above = int(nodes.parents[row, above])
            expected = sequence_logits(model, history.tokens[row, :length].tolist() + path)[-1]
            torch.testing.assert_close(logits[row, node], expected, atol=1e-4, rtol=0)


def test_same_gradient_as_transformers():
    model = make_transformers_llama()
    llama = Llama.from_huggingface(model)
    tokens = torch.randint(2, 31, (2, 9), generator=torch.Generator().manual_seed(1))
    model(input_ids=tokens).logits.logsumexp(-1).sum().backward()
    history = History(tokens, torch.full((2,), 9))
    hidden = llama(history, roots_at(torch.arange(1, 10).expand(2, -1)))
    llama.logits(hidden).logsumexp(-1).sum().backward()
    torch.testing.assert_close(llama.embedding.weight.grad, model.model.embed_tokens.weight.grad)
    ours = llama.layers[0].feedforward.gate_up.weight.grad
    theirs = model.model.layers[0].mlp
    both = torch.cat((theirs.gate_proj.weight.grad, theirs.up_proj.weight.grad))
    torch.testing.assert_close(ours, both)


def several_roots():
    """Roots after 2, 5 and 8 tokens, and two nodes on each; by level, as training lays them."""
    lengths = torch.tensor([[2, 5, 8]])
    return PrefixNodes(
        torch.tensor([[0, 0, 0, 7, 8, 9, 10, 11, 12]]),
        torch.tensor([[-1, -1, -1, 0, 1, 2, 3, 4, 5]]),
        torch.tensor([[0, 0, 0, 1, 1, 1, 2, 2, 2]]),
        lengths.repeat(1, 3),
        (0, 3, 6),
    )


def test_roots_at_several_lengths_are_histories_of_their_own():
    llama = make_llama()
    history = History(random_history(1, 9, 23, seed=1).tokens, torch.tensor([9]))
    nodes = several_roots()
    hidden = llama(history, nodes)
    for root, length in enumerate((2, 5, 8)):
        alone = History(history.tokens[:, :length], torch.tensor([length]))
        path = nodes.map(lambda part, root=root: part[:, root::3])
        path = PrefixNodes(
            path.tokens, torch.tensor([[-1, 0, 1]]), path.depth, path.context_length, (0, 1, 2)
        )
        torch.testing.assert_close(llama(alone, path), hidden[:, root::3])
        context = llama.read(history)
        torch.testing.assert_close(llama.extend(context, path)[0], hidden[:, root::3])


def test_a_path_in_the_context_is_the_same_as_the_path_of_nodes():
    llama = make_llama()
    tokens = random_history(1, 9, 23, seed=1).tokens
    in_context = llama(History(tokens, torch.tensor([9])), roots_at(torch.tensor([[5, 6, 7]])))
    path = PrefixNodes(
        torch.cat((torch.tensor([[0]]), tokens[:, 5:7]), 1),
        torch.tensor([[-1, 0, 1]]),
        torch.tensor([[0, 1, 2]]),
        torch.tensor([[5, 5, 5]]),
    )
    torch.testing.assert_close(llama(History(tokens, torch.tensor([9])), path), in_context)


def tokens_computed(llama, run):
    """Rows that the first layer's products see while `run` runs, call by call."""
    seen = []
    hook = llama.layers[0].out.register_forward_hook(
        lambda module, inputs, output: seen.append(inputs[0].shape[0])
    )
    run()
    hook.remove()
    return seen


def test_roots_cost_nothing():
    llama = make_llama()
    history = random_history(2, 9, 23, seed=1)
    roots = roots_at(torch.tensor([[1, -1, -1], [9, 4, 2]]))
    assert tokens_computed(llama, lambda: llama(history, roots)) == [2 * 9]
    context = llama.read(history)
    assert tokens_computed(llama, lambda: llama.extend(context, roots)) == []
    nodes = several_roots()
    one = History(history.tokens[1:], history.lengths[1:])
    assert tokens_computed(llama, lambda: llama(one, nodes)) == [9 + 6]


def test_roots_that_nothing_promises_are_the_same():
    llama = make_llama()
    history = History(random_history(1, 9, 23, seed=1).tokens, torch.tensor([9]))
    nodes = several_roots()
    order = [2, 5, 0, 8, 3, 1, 6, 4, 7]
    place = torch.tensor([2, 5, 0, 4, 7, 1, 6, 8, 3])
    parents = nodes.parents[:, order]
    mixed = nodes.map(lambda part: part[:, order])
    mixed = PrefixNodes(
        mixed.tokens,
        torch.where(parents < 0, -1, place[parents.clamp(min=0)]),
        mixed.depth,
        mixed.context_length,
    )
    torch.testing.assert_close(llama(history, mixed), llama(history, nodes)[:, order])


def random_catalog(seed, num_items=40, codebook_size=6):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, codebook_size, (num_items, 3), generator=generator)
    return Catalog.from_codes(codes, codebook_size=codebook_size)


@pytest.mark.parametrize("mask", ["after", "before"])
def test_searches_equal_brute_force(mask):
    catalog = random_catalog(seed=1)
    torch.manual_seed(0)
    llama = distinct(Llama(SMALL, catalog.vocab_size).double().eval())
    histories = torch.tensor([[3, 7, 1], [5, -1, -1], [-1, -1, -1]])
    context = llama.encode_histories(histories, catalog)
    beams = beam_search(llama, histories, catalog, beam_width=4, top_k=4, mask=mask)
    whole = full_sort(llama, histories, catalog, top_k=9, mask=mask)
    model = llama.to_huggingface().double()
    paths = [tuple(path) for path in catalog.leaf_tokens[catalog.leaf_of_item.long()].tolist()]
    for row, length in enumerate(context.lengths.tolist()):
        start = context.tokens[row, :length].tolist()

        def next_token_logits(prefix, start=start):
            return sequence_logits(model, [*start, *prefix])[-1].tolist()

        naive = BruteForce(paths, next_token_logits, mask=mask)
        for result, expected in (
            (beams, naive.beam_search([4] * 3, 4)),
            (whole, naive.full_sort(9)),
        ):
            assert result.leaves[row].tolist() == expected.leaves
            log_probs = torch.tensor(expected.leaf_log_probs).to(result.leaf_log_probs)
            # transformers was given the weights in fp32
            torch.testing.assert_close(
                result.leaf_log_probs[row], log_probs, atol=1e-5, rtol=0, check_dtype=False
            )
            assert bool(result.exact[row]) == expected.exact


def test_cache_rows_can_be_selected():
    llama = make_llama()
    history = random_history(3, 6, 23, seed=1)
    nodes = random_tree(history.lengths, 6, 23, seed=2)
    context = llama.read(history)
    first, rest = nodes.map(lambda part: part[:, :3]), nodes.map(lambda part: part[:, 3:])
    _, cache = llama.extend(context, first)
    hidden, _ = llama.extend(context, rest, cache)
    rows = torch.tensor([2, 0])
    chosen = rest.map(lambda part: part[rows])
    again, _ = llama.extend(context.select(rows), chosen, cache.select(rows))
    torch.testing.assert_close(again, hidden[rows])


def test_histories_are_tokens_alone_and_an_empty_one_is_the_end_token():
    catalog = Catalog.from_codes(torch.tensor([[0, 1], [2, 0]]), codebook_size=4)
    history = make_llama().encode_histories(torch.tensor([[1, 0], [-1, -1], [-1, 0]]), catalog)
    assert history.tokens.tolist() == [[4, 6, 2, 7], [1, 0, 0, 0], [2, 7, 0, 0]]
    assert history.lengths.tolist() == [4, 1, 2]


def test_preset_has_the_papers_size():
    llama = build_backbone(LlamaConfig(), 1023)
    assert sum(p.numel() for p in llama.parameters()) == 3_803_136  # 3.80 M


def test_settings_are_told_apart_by_name():
    adapter = TypeAdapter(AnyBackboneConfig)
    assert adapter.validate_python({"name": "llama", "num_layers": 2}) == LlamaConfig(num_layers=2)
    with pytest.raises(ValidationError, match="multiple of 2"):
        LlamaConfig(head_dim=5)


def test_dropout_acts_in_training_only():
    llama = make_llama(dropout=0.2).train()
    history, nodes = random_history(2, 9, 23, seed=1), several_roots()
    nodes = nodes.map(lambda part: part.expand(2, -1))
    assert not torch.equal(llama(history, nodes), llama(history, nodes))
    llama.eval()
    assert torch.equal(llama(history, nodes), llama(history, nodes))


def test_checkpointed_training_repeats_its_dropout():
    history = random_history(2, 9, 23, seed=1)
    nodes = random_tree(torch.tensor([1, 9]), 5, 23, seed=2)
    gradients = []
    for checkpointing in (False, True):
        llama = make_llama(dropout=0.2, gradient_checkpointing=checkpointing).train()
        torch.manual_seed(1)
        llama(history, nodes).square().sum().backward()
        gradients.append([p.grad for p in llama.parameters()])
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, checkpointed)


def test_lower_precision_is_close_and_logits_stay_fp32():
    torch.manual_seed(0)
    llama = Llama(SMALL, 23)
    history = random_history(3, 9, 23, seed=1)
    nodes = random_tree(history.lengths, 12, 23, seed=2)
    exact = llama.logits(llama(history, nodes))
    with torch.autocast("cpu", torch.bfloat16):
        lower = llama.logits(llama(history, nodes))
        context = llama.read(history)
        step = llama.extend(context, nodes)[0]
    assert lower.dtype == torch.float32
    torch.testing.assert_close(lower, exact, atol=0.02, rtol=0)  # bf16 has 8 bits
    torch.testing.assert_close(llama.logits(step.float()), exact, atol=0.02, rtol=0)
    lower.logsumexp(-1).sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in llama.parameters())


def test_positions_turn_at_the_given_pace():
    history = History(torch.tensor([[3, 4, 5, 6]]), torch.tensor([4]))
    near, far = (make_llama(rope_theta=theta) for theta in (10.0, 500000.0))
    root = roots_at(torch.tensor([[4]]))
    assert not torch.allclose(near(history, root), far(history, root))


def decoded(llama: Llama, *, gradient: bool, bf16: bool) -> torch.Tensor:
    """Hidden states of a root and two children over histories of different lengths."""
    history = History(torch.tensor([[3, 4, 5], [6, 2, 0]]), torch.tensor([3, 2]))
    nodes = PrefixNodes(
        tokens=torch.tensor([[0, 3, 4], [0, 5, 6]]),
        parents=torch.tensor([[-1, 0, 0]] * 2),
        depth=torch.tensor([[0, 1, 1]] * 2),
        context_length=torch.tensor([[3] * 3, [2] * 3]),
    )
    with torch.set_grad_enabled(gradient), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        return llama.extend(llama.read(history), nodes)[0].detach()


def test_decoding_without_a_gradient_computes_what_training_does():
    torch.manual_seed(0)
    llama = Llama(LlamaConfig(dim=16, num_layers=2, num_heads=2, head_dim=8), 8).eval()
    with torch.no_grad():
        for weight in llama.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    trained = decoded(llama, gradient=True, bf16=False)
    torch.testing.assert_close(decoded(llama, gradient=False, bf16=False), trained)
    # bf16 keeps 8 bits: 0.4 % a rounding, some dozens of them on the way
    for gradient in (True, False):
        rounded = decoded(llama, gradient=gradient, bf16=True)
        assert rounded.dtype == torch.float32
        torch.testing.assert_close(rounded, trained, atol=0.05, rtol=0.05)


def test_narrow_heads_keep_fp32_keys_without_a_gradient():
    history = History(torch.tensor([[3, 4]]), torch.tensor([2]))
    for head_dim, dtype in ((8, torch.float32), (64, torch.bfloat16)):
        config = LlamaConfig(dim=16, num_layers=1, num_heads=1, head_dim=head_dim)
        llama = Llama(config, 8)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            assert llama.read(history).keys[0].dtype == dtype

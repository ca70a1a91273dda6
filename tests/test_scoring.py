import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from beamwise import Catalog
from beamwise.backbones import Tiger, TigerConfig
from beamwise.objectives.base import Needs
from beamwise.scoring import CandidateTree, Scorer, TrainingBatch, token_log_probs

SMALL = TigerConfig(
    dim=8,
    num_encoder_layers=1,
    num_decoder_layers=2,
    num_heads=2,
    head_dim=4,
    feedforward_dim=8,
    dropout=0.0,
)
TITLES = Catalog.from_tokens(
    torch.tensor([[5, 6, 7], [5, 6, 0], [8, 0, 0], [5, 9, 0], [5, 6, 7]]), lengths=[3, 2, 1, 2, 3]
)


def semantic_ids(seed, num_items=12, num_levels=3, codebook_size=3):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(codebook_size, (num_items, num_levels), generator=generator)
    return Catalog.from_codes(codes, codebook_size)


def path_logits(tiger, history, leaf_tokens):
    """Logits before each token of one path, the candidate scored alone."""
    tokens = torch.cat((torch.zeros(1, dtype=torch.long), leaf_tokens[:-1]))[None]
    depth = torch.arange(tokens.shape[1])[None]
    from beamwise.backbones import PrefixNodes

    nodes = PrefixNodes(tokens, depth - 1, depth, history.lengths.expand_as(depth))
    return tiger.logits(tiger(history, nodes))[0]


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("catalog", [semantic_ids(0), TITLES], ids=["semantic ids", "titles"])
def test_scores_equal_those_of_each_candidate_alone(catalog, temperature):
    torch.manual_seed(0)
    tiger = Tiger(SMALL, catalog.vocab_size).double().eval()
    histories = torch.tensor([[0, 2, 1], [3, -1, -1], [-1, -1, -1]])
    generator = torch.Generator().manual_seed(1)
    candidates = torch.randint(catalog.num_leaves, (3, 6), generator=generator)
    batch = TrainingBatch.assemble(tiger, catalog, histories, candidates)
    scores = Scorer(tiger)(batch, Needs(negatives=True, temperature=temperature))
    for row in range(3):
        history = tiger.encode_histories(histories[row : row + 1], catalog)
        for column, leaf in enumerate(candidates[row].tolist()):
            tokens = catalog.leaf_tokens[leaf].long()
            tokens = tokens[tokens >= 0]
            logits = path_logits(tiger, history, tokens).float() / temperature
            expected = torch.zeros(catalog.num_levels)
            expected[: len(tokens)] = logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0]
            torch.testing.assert_close(scores.log_probs[row, column], expected)


def test_each_prefix_is_one_node():
    # leaves of TITLES: [5,6,1], [5,6,7,1], [5,9,1], [8,1]
    tree = CandidateTree.of(TITLES, torch.tensor([[0, 1, 2, 3, 1]]), torch.tensor([4]))
    assert tree.nodes.tokens.tolist() == [[0, 5, 8, 6, 9, 7]]
    assert tree.nodes.parents.tolist() == [[-1, 0, 0, 1, 1, 3]]
    assert tree.nodes.depth.tolist() == [[0, 1, 1, 2, 2, 3]]
    assert tree.nodes.first_of_depth == (0, 1, 3, 5)
    assert tree.columns[0, 1].tolist() == [0, 1, 3, 5]  # [5,6,7,1]: from root, 5, 56, 567
    assert tree.columns[0, 3, :2].tolist() == [0, 2]  # [8,1]: from root, 8


def test_rows_with_fewer_prefixes_are_padded():
    tree = CandidateTree.of(TITLES, torch.tensor([[3, 3], [1, 2]]), torch.tensor([4, 2]))
    assert tree.nodes.tokens.tolist() == [[0, 8, -1, -1, -1], [0, 5, 6, 9, 7]]
    assert tree.nodes.context_length.tolist() == [[4, 4, -1, -1, -1], [2, 2, 2, 2, 2]]


@given(seed=st.integers(0, 2**32 - 1))
def test_tree_holds_the_distinct_prefixes_and_nothing_else(seed):
    catalog = semantic_ids(seed)
    generator = torch.Generator().manual_seed(seed)
    candidates = torch.randint(catalog.num_leaves, (2, 5), generator=generator)
    tree = CandidateTree.of(catalog, candidates, torch.tensor([1, 1]))
    for row in range(2):
        paths = catalog.leaf_tokens[candidates[row]].tolist()
        prefixes = {tuple(path[:length]) for path in paths for length in range(len(path))}
        spelled = []
        for column in range(tree.nodes.tokens.shape[1]):
            if tree.nodes.depth[row, column] >= 0:
                prefix, node = [], column
                while node > 0:
                    prefix.insert(0, int(tree.nodes.tokens[row, node]))
                    node = int(tree.nodes.parents[row, node])
                spelled.append(tuple(prefix))
        assert sorted(spelled) == sorted(prefixes)


def test_token_log_probs_are_log_softmax_in_value_and_gradient():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    columns = torch.tensor([[[0, 1], [0, 0]], [[2, 1], [2, 2]]])  # repeated pairs on purpose
    tokens = torch.tensor([[[4, 0], [4, 4]], [[1, 2], [3, 3]]])
    weights = torch.randn(2, 2, 2, generator=generator, dtype=torch.float64)
    rows = torch.arange(2)[:, None, None]
    expected = logits.log_softmax(-1)[rows, columns, tokens]
    ours = token_log_probs(logits, columns, tokens)
    torch.testing.assert_close(ours, expected)
    (gradient,) = torch.autograd.grad((ours * weights).sum(), logits)
    (wanted,) = torch.autograd.grad((expected * weights).sum(), logits)
    torch.testing.assert_close(gradient, wanted)


def test_a_batch_moves_whole():
    catalog = semantic_ids(3)
    tiger = Tiger(SMALL, catalog.vocab_size)
    candidates = torch.tensor([[0, 1, 2]])
    batch = TrainingBatch.assemble(
        tiger, catalog, torch.tensor([[1]]), candidates, "inverse-inclusion"
    )
    moved = batch.to(torch.device("meta"))
    tensors = [moved.history.tokens, moved.history.lengths, moved.tree.tokens, moved.tree.columns]
    tensors += [moved.tree.nodes.tokens, moved.tree.nodes.parents, moved.counts, moved.log_weights]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert moved.tree.nodes.first_of_depth == batch.tree.nodes.first_of_depth

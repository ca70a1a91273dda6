import pytest
import torch

from beamwise import Catalog
from beamwise.backbones import Tiger, TigerConfig
from beamwise.objectives.base import Needs
from beamwise.scoring import Scorer, TrainingBatch
from beamwise.sequences.negatives import Candidates

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
    batch = TrainingBatch.assemble(tiger, catalog, histories, Candidates(candidates))
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

import pytest
import torch

from beamwise.backbones import Tiger
from beamwise.objectives.base import Needs
from beamwise.scoring import Scorer, TrainingBatch
from beamwise.sequences.negatives import Candidates
from beamwise.testing.tiny_catalogs import TINY_TIGER, TITLES, random_semantic_ids


def path_logits(tiger, history, leaf_tokens):
    """Logits before each token of one path, the candidate scored alone."""
    tokens = torch.cat((torch.zeros(1, dtype=torch.long), leaf_tokens[:-1]))[None]
    depth = torch.arange(tokens.shape[1])[None]
    from beamwise.backbones import PrefixNodes

    nodes = PrefixNodes(tokens, depth - 1, depth, history.lengths.expand_as(depth))
    return tiger.logits(tiger(history, nodes))[0]


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize(
    "catalog", [random_semantic_ids(0), TITLES], ids=["semantic ids", "titles"]
)
def test_scores_equal_those_of_each_candidate_alone(catalog, temperature):
    torch.manual_seed(0)
    tiger = Tiger(TINY_TIGER, catalog.vocab_size).double().eval()
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

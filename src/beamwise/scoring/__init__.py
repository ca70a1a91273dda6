"""From histories and candidate items to their log-probabilities: the tree, the pass, the scores."""

from beamwise.scoring.candidate_tree import Anchors, CandidateTree
from beamwise.scoring.scorer import Scorer
from beamwise.scoring.training_batch import TrainingBatch

__all__ = ["Anchors", "CandidateTree", "Scorer", "TrainingBatch"]

"""Training the alternative on a trainer's own targets, and the check that both sides agree."""

from __future__ import annotations

from typing import Any, cast

import torch
from harness import emit
from jaxtyping import Float, Int64
from torch import Tensor
from transformers_alternative import ALTERNATIVES
from workload import SEED

from beamwise.objectives.prefix_alignment import PairwisePrefixAlignment
from beamwise.sequences.negatives import sample_negatives
from beamwise.training.loop import Trainer
from beamwise.training.reference import scored

LOSS_TOLERANCE = 1e-4


class AlternativeTrainer:
    """Steps of the alternative, in train mode, with dropout, from a trainer's weights."""

    def __init__(self, trainer: Trainer, num_at_once: int) -> None:
        """Take over a trainer's weights, settings and data.

        Args:
            trainer: Ours.
            num_at_once: Most examples that are computed together.
        """
        self.data, self.packs, self.objective = trainer.data, trainer.packs, trainer.objective
        self.num_at_once = num_at_once
        self.step_size = trainer.config.training.batch_size
        self.num_negatives = trainer.config.negatives.count
        backbone = cast(Any, trainer.backbone)
        self.model = backbone.to_huggingface().train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=5e-4)
        kind = ALTERNATIVES[trainer.config.backbone.name]
        self.alternative = kind(self.model, trainer.data.catalog)
        self._num_accumulated = 0

    def targets(self, rows: Int64[Tensor, " rows"]) -> Int64[Tensor, " targets"]:
        """The targets of some of the trainer's rows; shuffled where a row has several."""
        targets = self.packs.windows_of(rows)[0]
        if len(targets) == len(rows):
            return targets
        return targets[torch.randperm(len(targets), generator=torch.Generator().manual_seed(SEED))]

    def train(self, targets: Int64[Tensor, " targets"]) -> int:
        """Add the gradients of these examples, and step when a batch is full."""
        for some in targets.split(self.num_at_once):
            loss = self.loss(some, self.sample(some))
            (loss * len(some) / self.step_size).backward()
        self._num_accumulated += len(targets)
        if self._num_accumulated >= self.step_size:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
            self._num_accumulated = 0
        return len(targets)

    def sample(
        self, targets: Int64[Tensor, " targets"]
    ) -> Int64[Tensor, "targets candidates levels"]:
        """Tokens of the target, and where the objective has them, of its negatives."""
        catalog = self.data.catalog
        leaves = catalog.leaf_of_item[self.data.train.targets(targets)].long()[:, None]
        if self.objective.needs.negatives:
            drawn = sample_negatives(leaves[:, 0], catalog.num_leaves, self.num_negatives)
            leaves = torch.cat((leaves, drawn), 1)
        return catalog.leaf_tokens[leaves].long()

    def loss(
        self,
        targets: Int64[Tensor, " targets"],
        candidates: Int64[Tensor, "targets candidates levels"],
    ) -> Float[Tensor, ""]:
        """The mean loss of some examples."""
        histories = self.data.train.histories(targets)
        if isinstance(self.objective, PairwisePrefixAlignment):
            return self.alternative.pairwise(histories, candidates, beta=self.objective.beta)
        return self.alternative.cross_entropy(histories, candidates[:, 0].contiguous())


def comparable_rows(trainer: Trainer, num_targets: int) -> Int64[Tensor, " rows"]:
    """Rows of about so many targets of which each sees just what its window has.

    In a stream, histories may run longer than those of one example a target, so rows are taken
    whose last target does not.
    """
    packs = trainer.packs
    rows = (packs.num_items <= packs.windows.max_history).nonzero()[:, 0]
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(SEED))
    rows = rows[order]
    enough = int((packs.sizes[rows].cumsum(0) < num_targets).sum()) + 1
    return rows[:enough]


@torch.no_grad()
def check_losses(
    benchmark: str, mine: Trainer, theirs: AlternativeTrainer, rows: Int64[Tensor, " rows"]
) -> None:
    """Print that both sides have the same loss on the same weights, without dropout.

    Args:
        benchmark: What is checked.
        mine: Our trainer.
        theirs: The alternative, with the same weights.
        rows: Of our trainer; each side computes their targets with the same candidates.

    Raises:
        RuntimeError: If they do not: then their times cannot be compared.
    """
    for module in (mine.backbone, mine.objective, theirs.model):
        module.eval()
    scorer, needs, packs = mine.gradients.scorer, mine.objective.needs, mine.packs
    ours_sum, theirs_sum, num_targets = 0.0, 0.0, 0
    for chunk, batch in mine.source.batches(packs, rows, 0):
        losses, _ = mine.objective(scored(scorer, batch, needs, mine.gradients.reference))
        targets = packs.windows_of(rows[chunk.places])[0]
        ours_sum += float(losses.sum())
        for some in torch.arange(len(targets)).split(theirs.num_at_once):
            loss = theirs.loss(targets[some], batch.tree.tokens[some])
            theirs_sum += float(loss) * len(some)
        num_targets += len(targets)
    theirs.model.train()
    difference = abs(ours_sum - theirs_sum) / num_targets
    emit(
        "check",
        benchmark=benchmark,
        examples=num_targets,
        loss_ours=ours_sum / num_targets,
        loss_alternative=theirs_sum / num_targets,
        difference=difference,
        tolerance=LOSS_TOLERANCE,
        equal=difference <= LOSS_TOLERANCE,
    )
    if not difference <= LOSS_TOLERANCE:
        raise RuntimeError(
            f"{benchmark}: the loss is {ours_sum / num_targets} here and "
            f"{theirs_sum / num_targets} in the alternative"
        )

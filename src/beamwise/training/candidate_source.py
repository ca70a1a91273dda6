"""Which candidates compete with the targets of a step: drawn, or mined by a search."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor

from beamwise.backbones.base import Backbone
from beamwise.objectives.base import Needs
from beamwise.sequences.batches import NEGATIVES, mixed_seed
from beamwise.sequences.negatives import Candidates, sample_negatives
from beamwise.sequences.packing import Packs
from beamwise.sequences.weighted_negatives import Popularity, sample_in_batch, sample_popular
from beamwise.sequences.windows import Windows
from beamwise.training.config import RunConfig
from beamwise.training.mining import mine
from beamwise.training.run_data import RunData

TRAINING_STREAMS = 0
"""Steps of training have streams from here up; below are other uses, as validation."""


class CandidateSource:
    """Draws negatives for a step at once, and keeps what was mined for the steps to come."""

    def __init__(
        self,
        backbone: Backbone,
        data: RunData,
        config: RunConfig,
        device: torch.device,
    ) -> None:
        negatives = config.negatives
        self._backbone, self._negatives, self._seed = backbone, negatives, config.training.seed
        self._mask = config.evaluation.mask
        self._catalog, self._device = data.catalog, device
        self._popularity: Popularity | None = None
        if negatives.source == "popular":
            targets = data.train.targets(torch.arange(len(data.train)))
            self._popularity = Popularity.of(self._leaves(targets), negatives.exponent)
        self.mined: dict[str, Tensor] = {}
        """Windows and their candidates, found for steps of which some are still to come."""

    def check(self) -> None:
        """Refuse a catalog that has too few leaves to draw from.

        Raises:
            ValueError: If so.
        """
        if self._catalog.num_leaves < 2:
            raise ValueError(
                "the catalog has one token sequence, so nothing competes with a target: choose an "
                "objective without negatives, or tokenize so that items differ"
            )
        if self._negatives.source != "beam":
            self._draw(torch.zeros(1, dtype=torch.int64), TRAINING_STREAMS)

    def of_step(
        self, windows: Windows, rows: Int64[Tensor, " targets"], stream: int, needs: Needs
    ) -> Candidates:
        """The targets of a step, and where `needs` asks for them their negatives.

        Args:
            windows: Where the targets stand.
            rows: The targets of the step, over all processes.
            stream: With the seed, decides what is drawn.
            needs: Of the objective.
        """
        leaves = self._leaves(windows.targets(rows))
        if not needs.negatives:
            return Candidates(leaves[:, None])
        if self._negatives.source != "beam":
            return Candidates(torch.cat((leaves[:, None], self._draw(leaves, stream)), dim=1))
        if stream < TRAINING_STREAMS:
            return self._mine(windows, rows)
        place = torch.searchsorted(self.mined["windows"], rows)
        assert bool((self.mined["windows"][place] == rows).all()), "every target was mined"
        return Candidates(self.mined["leaves"][place], self.mined["depths"][place])

    def before_step(
        self, packs: Packs, steps: list[Int64[Tensor, " _"]], index: int, needs: Needs
    ) -> None:
        """Where negatives are mined and it is time to, search with the model as it is.

        Args:
            packs: The rows of training.
            steps: Those of every step of the epoch.
            index: The step to come.
            needs: Of the objective.
        """
        every = self._negatives.mine_every
        if not needs.negatives or self._negatives.source != "beam" or index % every:
            return
        windows = packs.windows_of(torch.cat(steps[index : index + every]))[0].sort().values
        found = self._mine(packs.windows, windows)
        depths = found.depths
        assert depths is not None, "mined candidates are prefixes"
        self.mined.update(windows=windows, leaves=found.leaves, depths=depths)

    def _mine(self, windows: Windows, rows: Int64[Tensor, " targets"]) -> Candidates:
        histories = windows.histories(rows).to(self._device)
        leaves = self._leaves(windows.targets(rows)).to(self._device)
        catalog = self._catalog.to(self._device)
        width = self._negatives.beam_width
        found = mine(self._backbone, catalog, histories, leaves, width, self._mask)
        return found.to(torch.device("cpu"))

    def _leaves(self, targets: Int64[Tensor, " targets"]) -> Int64[Tensor, " targets"]:
        return self._catalog.leaf_of_item[targets].long()

    def _draw(
        self, leaves: Int64[Tensor, " targets"], stream: int
    ) -> Int64[Tensor, "targets count"]:
        generator = torch.Generator().manual_seed(mixed_seed(self._seed, NEGATIVES, stream))
        count = self._negatives.count
        if self._popularity is not None:
            return sample_popular(leaves, self._popularity, count, generator)
        if self._negatives.source == "in-batch":
            return sample_in_batch(leaves, count, generator)
        return sample_negatives(leaves, self._catalog.num_leaves, count, generator)

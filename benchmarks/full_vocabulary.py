"""MSL and BEAR the usual way: logits of the whole vocabulary, masked to the legal tokens."""

from __future__ import annotations

from typing import Any, Literal, cast, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from beamwise.backbones import Pretrained
from beamwise.scoring import Scorer, TrainingBatch
from beamwise.sequences.negatives import Candidates
from beamwise.training.loop import Trainer

Positions = Literal["answer", "all"]
"""Where logits are formed: after the tokens of the answer alone, or after those of the prompt too,
as a causal language model of `transformers` forms them unless told otherwise."""
POSITIONS: tuple[Positions, ...] = get_args(Positions)


class FullVocabularyTrainer:
    """Trains the `transformers` model inside a trainer on the same targets.

    A row is a prompt and its answer, right-padded; `at_once` rows go through the model together.
    The mask is a table of the vocabulary for every token of the answers.
    """

    def __init__(self, trainer: Trainer, positions: Positions, at_once: int) -> None:
        self._trainer, self._positions, self._at_once = trainer, positions, at_once
        self._backbone = cast(Pretrained, trainer.backbone)
        self._model: Any = self._backbone.model
        self._config = trainer.config.objective
        self._optimizer = trainer.optimizer

    def train(self, rows: Int64[Tensor, " rows"]) -> int:
        """One optimiser step over some rows, of a target each; returns how many."""
        self._trainer.backbone.train()
        for some in rows.split(self._at_once):
            (self.losses(some).sum() / len(rows)).backward()
        nn.utils.clip_grad_norm_(self._model.parameters(), self._trainer.config.training.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return len(rows)

    def losses(self, rows: Int64[Tensor, " rows"]) -> Float[Tensor, " rows"]:
        """The loss of every target."""
        catalog, leaves = self._trainer.data.catalog, self._leaves(rows)
        answers = catalog.leaf_tokens[leaves].long()
        answers = answers[:, : int((answers >= 0).sum(1).max())]
        exists = answers >= 0
        logits = self._logits(rows, answers)
        mask = self._mask(leaves, exists, logits.shape[1])
        log_probs = logits.masked_fill(~mask, -torch.inf).log_softmax(-1)
        own = log_probs.gather(1, answers[exists][:, None])[:, 0]
        losses = -own
        if self._config.name == "bear":
            losses = losses + self._penalties(own, log_probs, mask)
        total = torch.zeros(len(rows)).index_add(0, exists.nonzero()[:, 0], losses)
        return total / exists.sum(1)

    @torch.no_grad()
    def our_losses(self, rows: Int64[Tensor, " rows"]) -> Float[Tensor, " rows"]:
        """What our objective says of the same targets."""
        objective = self._trainer.objective
        histories, leaves = self._histories(rows), self._leaves(rows)
        batch = TrainingBatch.assemble(
            self._backbone,
            self._trainer.data.catalog,
            histories,
            Candidates(leaves[:, None]),
            needs=objective.needs,
        )
        return objective(Scorer(self._backbone)(batch, objective.needs))[0]

    def _logits(
        self, rows: Int64[Tensor, " rows"], answers: Int64[Tensor, "rows levels"]
    ) -> Float[Tensor, "tokens vocab"]:
        """After every token of the answers but the last of each, and the one before the first."""
        history = self._backbone.encode_histories(self._histories(rows), self._trainer.data.catalog)
        width, levels = history.tokens.shape[1], answers.shape[1]
        places = history.lengths[:, None] + torch.arange(levels)
        tokens = F.pad(history.tokens, (0, levels))
        tokens = tokens.scatter(1, places, answers.clamp(min=0))
        ends = history.lengths + (answers >= 0).sum(1)
        attended = torch.arange(width + levels) < ends[:, None]
        keep = int(ends.max())
        hidden = self._model.base_model(
            input_ids=tokens[:, :keep], attention_mask=attended[:, :keep].long(), use_cache=False
        ).last_hidden_state
        rows_of, levels_of = (answers >= 0).nonzero(as_tuple=True)
        before = (places - 1)[rows_of, levels_of]
        head = self._model.get_output_embeddings()
        if self._positions == "all":
            return head(hidden)[rows_of, before]
        return head(hidden[rows_of, before])

    def _mask(
        self, leaves: Int64[Tensor, " rows"], exists: Bool[Tensor, "rows levels"], vocab_size: int
    ) -> Bool[Tensor, "tokens vocab"]:
        """The legal tokens after every token of the answers."""
        catalog = self._trainer.data.catalog
        paths = catalog.leaf_nodes[leaves].long()[:, : exists.shape[1]]
        upper = F.pad(paths[:, :-1], (1, 0))[exists]
        children = catalog.children(upper)
        mask = torch.zeros(len(upper), vocab_size, dtype=torch.bool)
        mask[children.owner, children.tokens] = True
        return mask

    def _penalties(
        self,
        own: Float[Tensor, " tokens"],
        log_probs: Float[Tensor, "tokens vocab"],
        mask: Bool[Tensor, "tokens vocab"],
    ) -> Float[Tensor, " tokens"]:
        """BEAR's, at steps with more legal tokens than the beam holds."""
        settings = self._config.model_dump()
        width = settings["beam_width"]
        threshold = log_probs.detach().topk(width, -1).values[:, -1]
        prunes = mask.sum(-1) > width
        margins = torch.where(prunes, threshold, 0.0) - own
        return (settings["weight"] * F.softplus(margins / settings["xi"])).where(prunes, 0.0)

    def _histories(self, rows: Int64[Tensor, " rows"]) -> Int64[Tensor, "rows history"]:
        packs = self._trainer.packs
        return packs.windows.histories(packs.windows_of(rows)[0])

    def _leaves(self, rows: Int64[Tensor, " rows"]) -> Int64[Tensor, " rows"]:
        packs = self._trainer.packs
        targets = packs.windows.targets(packs.windows_of(rows)[0])
        return self._trainer.data.catalog.leaf_of_item[targets].long()

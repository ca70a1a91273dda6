"""Speed of constrained beam search over titles beside `generate` with a trie callback."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from harness import compare, emit, emit_environment, parser, products, use_threads
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from beamwise.backbones.pretrained import Pretrained
from beamwise.backbones.pretrained_config import PretrainedConfig, TinyConfig
from beamwise.backbones.pretrained_loading import load_model
from beamwise.catalog import Catalog
from beamwise.config import parse_config
from beamwise.data.sources import SimulatedShopConfig, TitleWindowsConfig, read_source
from beamwise.data.splitting import leave_one_out, sequences_of
from beamwise.decoding import SearchResult, beam_search
from beamwise.sequences.windows import Windows
from beamwise.testing.run_choice import step_by_step
from beamwise.tokenization.title_tokenizer import TitlesConfig
from beamwise.tokenization.titles import fit_title_tokenizer
from beamwise.training.run import open_run
from beamwise.training.run_data import RunData

Histories = Int64[Tensor, "batch history"]
TARGET = 8.0
"""How many times the alternative's users a second ours must reach."""
BEAMS, MAX_HISTORY, SEED = 10, 10, 0
"""As the paper decodes: 10 beams, and prompts with the last 10 items."""
EMBEDDING_DEVIATION = 0.2
"""Of fresh weights, so that logits differ by some nats; as they are made, items nearly tie."""
TOLERANCE = 1e-3
"""Nats by which the same title may score on the two sides, which pad and batch differently."""
SAME_ITEMS = 0.99
"""Share of the alternative's items that ours must return as well: where two beams tie within
rounding, either may be kept."""


@dataclass(frozen=True)
class Problem:
    """A model, its titles, and users."""

    backbone: Pretrained
    catalog: Catalog
    users: Windows

    def histories(self, batch_size: int, number: int) -> Histories:
        """Histories of some users, drawn at random; other ones for every number."""
        generator = torch.Generator().manual_seed(SEED + number)
        rows = torch.randint(len(self.users), (batch_size,), generator=generator)
        return self.users.histories(rows)

    def search(self, histories: Histories) -> SearchResult:
        """Our beam search, probabilities over the legal tokens."""
        return beam_search(self.backbone, histories, self.catalog, BEAMS, mask="before")


class TrieGenerator:
    """What people run today: `generate` with `prefix_allowed_tokens_fn`, over a trie of dicts."""

    def __init__(self, problem: Problem) -> None:
        self._catalog = problem.catalog
        self._backbone = problem.backbone
        self._model: Any = problem.backbone.to_huggingface().eval()
        assert problem.backbone.titles is not None
        self._end = problem.backbone.titles.end_token
        self._width = 0
        self._trie: dict[int, Any] = {}
        for path in problem.catalog.leaf_tokens.tolist():
            node = self._trie
            for token in path:
                if token >= 0:
                    node = node.setdefault(token, {})

    @torch.no_grad()
    def search(
        self, histories: Histories
    ) -> tuple[Int64[Tensor, "batch beams"], Float[Tensor, "batch beams"]]:
        """Leaves of the best beams of each user, best first, -1 for none, and their scores."""
        history = self._backbone.encode_histories(histories, self._catalog)
        prompts = [row[:length] for row, length in zip(*self._rows(history), strict=True)]
        flipped = [prompt.flip(0) for prompt in prompts]
        inputs = pad_sequence(flipped, batch_first=True, padding_value=self._end).flip(1)
        self._width = inputs.shape[1]
        lengths = history.lengths[:, None]
        mask = torch.arange(self._width) >= self._width - lengths
        output = self._model.generate(
            input_ids=inputs,
            attention_mask=mask.long(),
            num_beams=BEAMS,
            num_return_sequences=BEAMS,
            do_sample=False,
            max_new_tokens=self._catalog.num_levels,
            length_penalty=0.0,
            eos_token_id=self._end,
            pad_token_id=self._end,
            prefix_allowed_tokens_fn=self._legal_tokens,
            renormalize_logits=True,
            return_dict_in_generate=True,
            output_scores=True,
        )
        return self._leaves(output.sequences[:, self._width :]), output.sequences_scores.view(
            len(histories), BEAMS
        )

    def _rows(self, history: Any) -> tuple[Tensor, list[int]]:
        return history.tokens, history.lengths.tolist()

    def _legal_tokens(self, _: int, tokens: Int64[Tensor, " tokens"]) -> list[int]:
        node = self._trie
        for token in tokens[self._width :].tolist():
            node = node.get(token, {})
        return list(node) or [self._end]

    def _leaves(self, tokens: Int64[Tensor, "rows length"]) -> Int64[Tensor, "batch beams"]:
        """The leaf of each sequence up to its first end token."""
        past_end = (tokens == self._end).cumsum(1) - (tokens == self._end).long() > 0
        nodes = self._catalog.find(tokens.masked_fill(past_end, -1))
        is_leaf = (nodes >= 0) & self._catalog.is_leaf(nodes.clamp(min=0))
        leaves = self._catalog.leaf_start[nodes.clamp(min=0)].long()
        return leaves.masked_fill(~is_leaf, -1).view(-1, BEAMS)


def check_items(problem: Problem, generator: TrieGenerator, histories: Histories) -> None:
    """Print that ours returns what the alternative does, at the same scores.

    Ours may return more: `generate` forgets a title that ends while it is not among the best at
    that very step, though it may be among the best at last.

    Raises:
        RuntimeError: If one of its items is missing that scores better than our last.
    """
    mine = problem.search(histories)
    theirs, scores = generator.search(histories)
    same = theirs[:, :, None] == mine.leaves[:, None, :]
    is_found = (theirs >= 0) & same.any(dim=2)
    paired = same & (theirs >= 0)[:, :, None]
    gaps = (scores[:, :, None] - mine.leaf_log_probs[:, None, :])[paired].abs()
    lost = (theirs >= 0) & ~is_found & (scores > mine.leaf_log_probs[:, -1:] + TOLERANCE)
    share = float(is_found.sum() / (theirs >= 0).sum())
    gap = float(gaps.max()) if len(gaps) else 0.0
    equal = share >= SAME_ITEMS and gap <= TOLERANCE and not bool(lost.any())
    emit(
        "check",
        benchmark="beam search over titles",
        users=len(histories),
        their_items_among_ours=round(share, 5),
        users_with_equal_items=int((is_found.sum(dim=1) == BEAMS).sum()),
        better_items_that_we_lost=int(lost.sum()),
        largest_score_difference=gap,
        tolerance=TOLERANCE,
        equal=equal,
    )
    if not equal:
        raise RuntimeError("the two sides do not find the same titles on the same weights")


def work(problem: Problem, histories: Histories) -> dict[str, float]:
    """Calls of the backbone, and prefixes that it computed, for each user."""
    calls = 0
    extend = problem.backbone.extend

    def counted(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        return extend(*given)

    problem.backbone.extend = counted  # pyright: ignore[reportAttributeAccessIssue]
    found = beam_search(
        problem.backbone,
        histories,
        problem.catalog,
        BEAMS,
        mask="before",
        chunk_size=len(histories),
    )
    del problem.backbone.extend
    return {"calls": calls, "prefixes": round(float(found.num_scored.double().mean()), 1)}


def take_turns(
    contenders: Mapping[str, Callable[[Histories], object]],
    problem: Problem,
    batch_size: int,
    repeats: int,
) -> dict[str, list[float]]:
    """Users a second of processor time, round by round; the first round is a warm-up."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(repeats + 1):
        histories = problem.histories(batch_size, turn)
        begins = turn % len(contenders)
        for name in [*contenders][begins:] + [*contenders][:begins]:
            begin = time.process_time()
            contenders[name](histories)
            rate = batch_size / (time.process_time() - begin)
            if turn > 0:
                rates[name].append(rate)
                line = {"contender": name, "round": turn, "rate": round(rate, 3)}
                emit("measurement", benchmark="beam search over titles", **line, unit="users/s")
    return rates


def measure(problem: Problem, batch_size: int, repeats: int) -> None:
    """Check that both find the same, and time both, and ours token by token beside them."""
    generator = TrieGenerator(problem)
    histories = problem.histories(batch_size, 0)
    check_items(problem, generator, histories)

    def token_by_token(histories: Histories) -> SearchResult:
        with step_by_step():
            return problem.search(histories)

    along = work(problem, histories)
    with step_by_step():
        stepwise = work(problem, histories)
    emit("work", benchmark="beam search over titles", ours=along, token_by_token=stepwise)
    contenders = {
        "ours": problem.search,
        "ours token by token": token_by_token,
        "generate": generator.search,
    }
    rates = take_turns(contenders, problem, batch_size, repeats)
    for name, target in (("generate", TARGET), ("ours token by token", None)):
        compare(
            f"beam search over titles, {BEAMS} beams, batch {batch_size}, beside {name}",
            rates["ours"],
            rates[name],
            unit="users/s of processor time",
            target=target,
        )


def load_problem(folder: Path | None, tiny: TinyConfig, vocab_size: int) -> Problem:
    """Fresh weights over the titles in `folder`, else the Toy titles, else those of the shop."""
    folder = folder or _toy_folder()
    source = SimulatedShopConfig() if folder is None else TitleWindowsConfig(folder=folder)
    dataset = read_source(source)
    titles = dataset.items["title"]
    config = parse_config(TitlesConfig, {"vocab_size": vocab_size}, source="benchmark")
    tokenizer = fit_title_tokenizer(config, titles)
    catalog = tokenizer.catalog_of(dataset.items["item_id"], titles)
    torch.manual_seed(SEED)
    settings = PretrainedConfig(tiny=tiny)
    model = load_model(settings, catalog.vocab_size).model
    with torch.no_grad():
        model.get_input_embeddings().weight.normal_(0, EMBEDDING_DEVIATION)
    sequences = sequences_of(dataset.interactions, catalog.item_ids)
    users = Windows(sequences, leave_one_out(sequences).test, MAX_HISTORY)
    _describe("simulated shop" if folder is None else folder.name, catalog)
    return Problem(Pretrained(model, settings, tokenizer).eval(), catalog, users)


def open_problem(run: Path) -> Problem:
    """A trained run of a language model.

    Raises:
        ValueError: If its backbone is another.
    """
    opened = open_run(run)
    if not isinstance(opened.backbone, Pretrained):
        raise ValueError(f"{run} is no run of a language model: give one with backbone pretrained")
    _describe(str(run), opened.catalog)
    users = RunData.load(opened.config.data).test
    return Problem(opened.backbone.eval(), opened.catalog, users)


def _describe(name: str, catalog: Catalog) -> None:
    shape = catalog.path_shape
    emit(
        "data",
        data=name,
        items=catalog.num_items,
        titles=catalog.num_leaves,
        longest=catalog.num_levels,
        mean_tokens=round(shape.mean_tokens, 2),
        mean_branchings=round(shape.mean_branchings, 2),
        vocabulary=catalog.vocab_size,
    )


def _toy_folder() -> Path | None:
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("BEAMWISE_DATA", beside)) / "toy-titles"
    return folder if folder.is_dir() else None


def options() -> argparse.ArgumentParser:
    """The command line."""
    described = parser("Time beam search over titles beside transformers' generate.")
    described.add_argument("--run", type=Path, help="run folder whose model and data to use")
    described.add_argument("--users", type=int, default=32, help="users a round (default 32)")
    described.add_argument("--vocab-size", type=int, default=4096, help="of tiny (default 4096)")
    return described


def main(arguments: Sequence[str] | None = None, tiny: TinyConfig | None = None) -> None:
    """Check and time what the command line asks for."""
    chosen = options().parse_args(arguments)
    use_threads(chosen.threads)
    emit_environment()
    if chosen.run:
        problem = open_problem(chosen.run)
    else:
        problem = load_problem(chosen.data, tiny or TinyConfig(), chosen.vocab_size)
    with products(chosen):
        measure(problem, chosen.users, chosen.repeats)


if __name__ == "__main__":
    main()

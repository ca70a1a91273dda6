import math

import pytest
import torch
import torch.nn.functional as F

from beamwise.backbones import Tiger
from beamwise.objectives import OBJECTIVES
from beamwise.objectives.base import Needs
from beamwise.scoring import Scorer, TrainingBatch
from beamwise.sequences.negatives import Candidates, sample_negatives
from beamwise.sequences.weighted_negatives import Popularity, sample_in_batch, sample_popular
from beamwise.testing.tiny_catalogs import TINY_TIGER, TITLES, random_semantic_ids
from beamwise.testing.title_like import title_like_catalog
from beamwise.training.mining import mine


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
            logits = path_logits(tiger, history, tokens) / temperature
            expected = torch.zeros(catalog.num_levels, dtype=torch.float64)
            expected[: len(tokens)] = logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0]
            torch.testing.assert_close(scores.log_probs[row, column], expected)


# Every objective on titles: losses and gradients beside loops over candidates, tokens and dicts.

TITLE_LIKE = title_like_catalog(3, num_items=16)
SOURCES = ("uniform", "popular", "in-batch", "beam")
SETTINGS = {
    "ce": {},
    "msl": {},
    "msl, branching": {"average": "branching", "ce_weight": 0.5, "temperature": 1.5},
    "msl, adaptive": {"adaptive_temperature": True},
    "bear": {"beam_width": 2},
    "bear, log-sigmoid": {"beam_width": 2, "form": "log-sigmoid"},
    "bear, reweight": {"beam_width": 2, "form": "reweight"},
    "prefix-survival": {"beam_width": 2},
    "smoothed": {},
    "dpo": {"reference": "none"},
    "dmpo": {"reference": "none"},
    "s-dpo": {"reference": "none"},
    "apao-pointwise": {"prefix_weights": "uniform"},
    "apao-pointwise, branching": {"levels": "branching", "eta": 0.5},
    "apao-pairwise": {"prefix_weights": "uniform"},
    "apao-pairwise, branching": {"levels": "branching", "eta": 0.5, "divide_by_length": True},
    "apao-pairwise, capped": {"levels": "branching", "max_prefixes": 2, "beam_width": 3},
}


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else torch.tensor(0.0, dtype=torch.float64)


class Alone:
    """One target's candidates, each scored by itself; what the formulas below read."""

    def __init__(self, model, history, paths, candidates, temperature):
        self.paths, self.candidates, self.model = paths, candidates, model
        self.history, self.temperature = history, temperature
        self.path = candidates[0]
        self.log_p = [self.log_probs(candidate) for candidate in candidates]
        self.others = [path for path in dict.fromkeys(candidates[1:]) if path != self.path]
        self.whole = [path for path in self.others if path in paths]

    def logits(self, path):
        return path_logits(self.model, self.history, torch.tensor(path)) / self.temperature

    def log_probs(self, path):
        if not path:
            return []
        rows = self.logits(path).log_softmax(-1)
        return [row[token] for row, token in zip(rows, path, strict=True)]

    def legal(self):
        """The logits of every step's legal tokens, and the target's place among them."""
        steps = []
        for t, row in enumerate(self.logits(self.path)):
            tokens = sorted({p[t] for p in self.paths if len(p) > t and p[:t] == self.path[:t]})
            steps.append((row[tokens], tokens.index(self.path[t])))
        return steps

    def total(self, path, length=None):
        return sum(self.log_p[self.candidates.index(path)][:length])

    def prefix_lengths(self, levels):
        if levels == "tokens":
            return range(1, len(self.path) + 1)
        several = [t for t, (logits, _) in enumerate(self.legal()) if len(logits) > 1]
        return [*several[1:], len(self.path)]

    def log_odds(self, length, levels):
        """phi: distinct prefixes of so many tokens; whole items that are shorter, on titles."""
        found, own = {}, self.total(self.path, length)
        for path in self.others:
            ended = len(path) < length and (levels == "tokens" or path not in self.paths)
            if not ended and path[:length] != self.path[:length]:
                found.setdefault(path[:length], self.total(path, length) - own)
        return torch.stack(list(found.values())).logsumexp(0) if found else None


def naive_losses(name, config, targets):
    """The losses of all targets by the formulas of the papers, token by token."""
    if name.startswith("apao"):
        return naive_alignment(name, config, targets)
    if name == "bear" and config.form == "reweight":
        return naive_reweight(config, targets)
    return [naive_loss(name, config, target) for target in targets]


def naive_loss(name, config, one):
    ce = -mean(one.log_p[0])
    if name == "ce":
        return ce
    if name in ("dpo", "dmpo", "s-dpo"):
        if not one.whole:
            return 0 * ce
        own, others = one.total(one.path), torch.stack([one.total(path) for path in one.whole])
        if name == "dpo":
            return F.softplus(others - own).mean()
        return F.softplus((others.mean() if name == "dmpo" else others.logsumexp(0)) - own)
    tau = config.initial_temperature if name == "msl" and config.adaptive_temperature else 1.0
    steps = one.legal()
    log_p = [(z / tau).log_softmax(0)[own] for z, own in steps]
    if name == "msl":
        kept = [p for p, (z, _) in zip(log_p, steps, strict=True) if len(z) > 1]
        kept = kept if config.average == "branching" else log_p
        return -tau * mean(kept) + config.ce_weight * ce
    if name == "smoothed":
        return -mean(
            0.9 * z.log_softmax(0)[own] + 0.1 * z.log_softmax(0).mean() for z, own in steps
        )
    if name == "prefix-survival":
        sums = [sum(log_p[: t + 1]) for t in range(len(log_p))]
        return mean(torch.log(1 + ((1 - s.exp()) / s.exp()) / 2) for s in sums)
    terms = []
    for p, (z, _) in zip(log_p, steps, strict=True):
        beta = z.log_softmax(0).sort(descending=True).values[min(2, len(z)) - 1].detach()
        penalty = F.softplus((beta - p) / 2.75)
        if config.form == "log-sigmoid":
            penalty = F.logsigmoid((beta - p) / 2.75)
        terms.append(-p + (0.25 * penalty if len(z) > 2 else 0.0))
    return mean(terms)


def naive_reweight(config, targets):
    weighted, weights = [], []
    for one in targets:
        rows = []
        for z, own in one.legal():
            if len(z) > 1:
                log_p = z.log_softmax(0)
                beta = log_p.sort(descending=True).values[min(2, len(z)) - 1]
                weight = (1 + 0.25 * torch.sigmoid((log_p[own] - beta) / 2.75)).detach()
                rows.append(-weight * log_p[own])
                weights.append(weight)
        weighted.append(sum(rows))
    return [len(targets) * rows / sum(weights) for rows in weighted]


def naive_alignment(name, config, targets):
    losses = []
    for one in targets:
        row = []
        for n in list(one.prefix_lengths(config.levels))[: config.max_prefixes]:
            if name == "apao-pointwise":
                row.append(-one.total(one.path, n) / n)
                continue
            phi = one.log_odds(n, config.levels)
            width = config.beam_width or 1
            loss = 0 * one.log_p[0][0] if phi is None else F.softplus(phi - math.log(width))
            row.append(loss / n if config.divide_by_length else loss)
        losses.append(row)
    longest = max(len(path) for path in targets[0].paths)
    levels = longest if config.levels == "tokens" else MOST_BRANCHINGS
    levels = min(levels, config.max_prefixes or levels)
    means = [mean(row[m] for row in losses if len(row) > m) for m in range(levels)]
    eta = 0.0 if config.prefix_weights == "uniform" else config.eta
    weights = (eta * torch.stack(means)).softmax(0).detach()
    return [
        -mean(one.log_p[0]) + 0.2 * sum(w * loss for w, loss in zip(weights, row, strict=False))
        for one, row in zip(targets, losses, strict=True)
    ]


MOST_BRANCHINGS = max(
    sum(len({q[t] for q in paths if len(q) > t and q[:t] == p[:t]}) > 1 for t in range(len(p)))
    for paths in [[tuple(t for t in path if t >= 0) for path in TITLE_LIKE.leaf_tokens.tolist()]]
    for p in paths
)


def candidates_from(source, model, leaves, histories):
    """What training would have from each source."""
    generator = torch.Generator().manual_seed(0)
    if source == "beam":
        return mine(model, TITLE_LIKE, histories, leaves, beam_width=2, mask="before")
    drawn = {
        "uniform": lambda: sample_negatives(leaves, TITLE_LIKE.num_leaves, 3, generator),
        "popular": lambda: sample_popular(
            leaves, Popularity.of(torch.arange(TITLE_LIKE.num_leaves)), 3, generator
        ),
        "in-batch": lambda: sample_in_batch(leaves, 3, generator),
    }[source]()
    return Candidates(torch.cat((leaves[:, None], drawn), 1))


WITH_NEGATIVES = ("dpo", "dmpo", "s-dpo", "apao-pairwise")
CASES = [
    (setting, source)
    for setting in SETTINGS
    for source in (SOURCES if setting.startswith(WITH_NEGATIVES) else ("",))
]


@pytest.mark.parametrize(("setting", "source"), CASES)
def test_objectives_on_titles_equal_loops_in_value_and_gradient(setting, source):
    name = setting.partition(",")[0]
    config = OBJECTIVES[name].Config(**SETTINGS[setting])
    objective = OBJECTIVES[name](config).double()
    assert objective.needs.negatives == bool(source)
    torch.manual_seed(0)
    model = Tiger(TINY_TIGER, TITLE_LIKE.vocab_size).double().eval()
    histories = torch.tensor([[0, 2, 1], [3, -1, -1], [-1, -1, -1]])
    lengths = (TITLE_LIKE.leaf_tokens >= 0).sum(1)
    leaves = torch.stack([lengths.argmax(), lengths.argmin(), torch.tensor(5)])
    candidates = Candidates(leaves[:, None])
    if objective.needs.negatives:
        candidates = candidates_from(source, model, leaves, histories)
    batch = TrainingBatch.assemble(model, TITLE_LIKE, histories, candidates, needs=objective.needs)
    ours = objective(Scorer(model)(batch, objective.needs))[0]
    paths = [tuple(t for t in path if t >= 0) for path in TITLE_LIKE.leaf_tokens.tolist()]
    depths = candidates.depths
    targets = []
    for row in range(3):
        history = model.encode_histories(histories[row : row + 1], TITLE_LIKE)
        named = [paths[leaf] if leaf >= 0 else () for leaf in candidates.leaves[row].tolist()]
        if depths is not None:
            named = [path[:n] for path, n in zip(named, depths[row].tolist(), strict=True)]
        named = [path for path in named if path]
        targets.append(Alone(model, history, paths, named, config.temperature))
    naive = torch.stack(naive_losses(name, config, targets))
    torch.testing.assert_close(ours, naive)
    factors = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    parameters = list(model.parameters())
    found = torch.autograd.grad((ours * factors).sum(), parameters, materialize_grads=True)
    wanted = torch.autograd.grad((naive * factors).sum(), parameters, materialize_grads=True)
    for mine_, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine_, other)

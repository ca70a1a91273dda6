"""A small survival report on a backbone of hashes, for tests of what shows it."""

from __future__ import annotations

import polars as pl
import torch

from beamwise.catalog import Catalog
from beamwise.data.splitting import Sequences, Targets
from beamwise.evaluation.survival_counts import SurvivalConfig
from beamwise.evaluation.survival_figures import Survival
from beamwise.evaluation.survival_measure import measure_survival
from beamwise.sequences.windows import Windows
from beamwise.testing.table_backbone import TableBackbone

EXAMPLE_SETTINGS = SurvivalConfig(ks=(2, 4), beam_width=4, widths=(2, 4, 8, 16), timed_users=6)


def random_windows(num_items: int, num_users: int, seed: int = 0) -> Windows:
    """Users of four random items each, the last of which is the target."""
    generator = torch.Generator().manual_seed(seed)
    items = torch.randint(0, num_items, (4 * num_users,), generator=generator, dtype=torch.int32)
    names = pl.Series("user_id", [f"u{user}" for user in range(num_users)])
    starts = torch.arange(0, 4 * num_users + 1, 4)
    sequences = Sequences(names, items, starts, torch.arange(4 * num_users))
    return Windows(sequences, Targets(torch.arange(num_users), torch.full((num_users,), 3)))


def example_survival(seed: int = 0, config: SurvivalConfig = EXAMPLE_SETTINGS) -> Survival:
    """Sixty users, up to eighty items with three codes of six; some items share all codes."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 6, (80, 3), generator=generator)
    catalog = Catalog.from_codes(codes, codebook_size=6)
    backbone = TableBackbone(catalog.vocab_size, seed=seed)
    return measure_survival(backbone, random_windows(80, 60, seed), catalog, config)

from dataclasses import replace

import pytest
import torch

from beamwise.backbones import build_backbone
from beamwise.data.splitting import Sequences, Targets
from beamwise.objectives.base import Needs
from beamwise.sequences.windows import Windows
from beamwise.training.batch_source import BatchSource, Process
from beamwise.training.run_data import RunData


def source_of(config, data, needs, rank=0, num_processes=1):
    backbone = build_backbone(config.backbone, data.catalog.vocab_size)
    return BatchSource(backbone, data, config, needs, Process(rank=rank, count=num_processes))


def paths_by_place(sources, rows, stream=3):
    """The candidates' paths of every target, whichever chunk and process it went to."""
    paths = {}
    for source in sources:
        for chunk, batch in source.batches(source.train, rows, stream):
            for place, tokens in zip(chunk.places.tolist(), batch.tree.tokens, strict=True):
                paths[place] = tokens.tolist()
    return paths


def test_negatives_depend_neither_on_chunks_nor_on_processes(make_config):
    config = make_config()
    data = RunData.load(config.data)
    needs = Needs(negatives=True)
    rows = torch.arange(30)
    whole = paths_by_place([source_of(config, data, needs)], rows)
    other = make_config(training={"chunk_size": 3})
    split = [source_of(other, data, needs, rank, 2) for rank in range(2)]
    assert paths_by_place(split, rows) == whole
    assert paths_by_place([source_of(config, data, needs)], rows, stream=4) != whole


def test_candidate_0_is_the_target_and_the_rest_are_not(make_config):
    config = make_config()
    data = RunData.load(config.data)
    rows = torch.arange(12)
    paths = paths_by_place([source_of(config, data, Needs(negatives=True))], rows)
    leaves = data.catalog.leaf_of_item[data.train.targets(rows)].long()
    for place, leaf in enumerate(leaves.tolist()):
        target = data.catalog.leaf_tokens[leaf].tolist()
        assert paths[place][0] == target
        assert target not in paths[place][1:]
        assert len(paths[place]) == 1 + config.negatives.count


def test_without_negatives_there_is_one_candidate(make_config):
    config = make_config()
    data = RunData.load(config.data)
    paths = paths_by_place([source_of(config, data, Needs())], torch.arange(5))
    assert {len(path) for path in paths.values()} == {1}


def test_micro_batches_are_kept_apart_only_for_objectives_that_look_at_them(make_config):
    config = make_config(training={"micro_batch_size": 8, "chunk_size": 8})
    data = RunData.load(config.data)
    for coupled, expected in ((True, 4), (False, 1)):
        source = source_of(config, data, Needs(micro_batches=coupled))
        chunks = [chunk for chunk, _ in source.batches(source.train, torch.arange(32), 0)]
        assert sum(chunk.opens_micro_batch for chunk in chunks) == expected


def test_weights_without_memory_have_their_micro_batches_whole(make_config):
    config = make_config(training={"micro_batch_size": 16, "chunk_size": 4})
    data = RunData.load(config.data)
    needs = Needs(micro_batches=True, whole_micro_batches=True)
    source = source_of(config, data, needs)
    sizes = [len(c.places) for c, _ in source.batches(source.train, torch.arange(32), 0)]
    assert sizes == [16, 16]


def test_parts_without_targets_are_refused(make_config):
    config = make_config()
    data = RunData.load(config.data)
    empty = torch.zeros(0)
    sequences = Sequences(data.user_ids, empty.int(), torch.zeros(61).long(), empty.long())
    nothing = Windows(sequences, Targets(torch.arange(0), torch.arange(0)))
    with pytest.raises(ValueError, match="0 training targets for 1 process"):
        source_of(config, replace(data, train=nothing), Needs())
    with pytest.raises(ValueError, match="0 validation targets for 1 process"):
        source_of(config, replace(data, validation=nothing), Needs())

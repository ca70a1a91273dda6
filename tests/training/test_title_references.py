"""References of language models: what they share with the model that trains, and what not."""

import pytest
import torch

from beamwise.backbones import pretrained_loading
from beamwise.training.checkpoint import BEST, read_tensors
from beamwise.training.reference import build_reference, trained_backbone
from beamwise.training.run import train
from beamwise.training.run_data import RunData
from beamwise.training.run_model import copy_with_shared_base, model_to_train

from .conftest import TINY_LLM, lora, pointers


def test_a_reference_shares_the_frozen_weights(make, base):
    config = make(backbone=lora(base))
    catalog = RunData.load(config.data).catalog
    backbone = model_to_train(config, catalog.vocab_size)
    folder = train(config)
    for reference in (
        build_reference("initial-weights", backbone, catalog),
        build_reference(folder, backbone, catalog),
    ):
        assert pointers(reference.backbone, False) == pointers(backbone, False)
        ours, theirs = (pointers(model, True) for model in (reference.backbone, backbone))
        assert not set(ours.values()) & set(theirs.values())
        assert not any(parameter.requires_grad for parameter in reference.parameters())
    assert any(parameter.requires_grad for parameter in backbone.parameters())
    best, _ = read_tensors(folder / "checkpoint" / BEST)
    for name, value in best.items():
        assert torch.equal(reference.backbone.state_dict()[name], value)


def test_a_reference_with_other_adapters_shares_the_frozen_weights(make, base, monkeypatch):
    theirs = make("theirs", backbone=lora(base, r=3, target_modules=["k_proj"]))
    folder = train(theirs)
    catalog = RunData.load(theirs.data).catalog
    ours = make("ours", backbone=lora(base) | {"gradient_checkpointing": True})
    backbone = model_to_train(ours, catalog.vocab_size)
    before = backbone.state_dict()
    alone = trained_backbone(folder, catalog)
    monkeypatch.setattr(pretrained_loading, "_read", None)  # nothing is loaded again
    reference = build_reference(folder, backbone, catalog).backbone
    assert reference.config == theirs.backbone
    shared = set(pointers(backbone, False).values())
    assert set(pointers(reference, False).values()) == shared
    assert not set(pointers(reference, True).values()) & set(pointers(backbone, True).values())
    expected = alone.state_dict()
    assert reference.state_dict().keys() == expected.keys()
    for name, value in reference.state_dict().items():
        assert torch.equal(value, expected[name]), name
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    assert any(parameter.requires_grad for parameter in backbone.parameters())
    history = backbone.encode_histories(torch.tensor([[5, 2]]), catalog)
    with torch.no_grad():
        for model in (reference, alone):
            model.eval()
        assert torch.equal(reference.read(history).hidden, alone.read(history).hidden)


@pytest.mark.parametrize("adapted", [False, True])
def test_a_reference_that_read_other_prompts_is_refused(make, base, adapted):
    model = lora(base) if adapted else {}
    folder = train(make("theirs", backbone=model | {"prompt": {"template": "Took {history}\n"}}))
    asked = {"objective": {"name": "s-dpo", "reference": folder}}
    message = (
        r"theirs was trained with another backbone\.prompt\.template, and as a reference it would "
        r"read the prompts of this run: set backbone\.prompt as in .*config\.yaml"
    )
    ours = make("ours", backbone=model, **asked)
    with pytest.raises(ValueError, match=message) as refused:
        train(ours)
    assert "\n" not in str(refused.value)
    assert not ours.out.exists()


def test_another_model_beside_is_not_shared(make, base):
    config = make()
    catalog = RunData.load(config.data).catalog
    folder = train(config)
    beside = model_to_train(make("other", backbone=lora(base)), catalog.vocab_size)
    model = trained_backbone(folder, catalog, beside)
    assert model.model.config.hidden_size == TINY_LLM["dim"]


def test_what_is_trained_whole_is_copied_whole(make):
    config = make()
    backbone = model_to_train(config, RunData.load(config.data).catalog.vocab_size)
    copied = copy_with_shared_base(backbone)
    ours, theirs = pointers(copied, False), pointers(backbone, False)
    assert ours.keys() == theirs.keys()
    assert not set(ours.values()) & set(theirs.values())
    assert copied.model.lm_head.weight is copied.model.model.embed_tokens.weight

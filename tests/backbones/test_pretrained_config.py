import pytest
from pydantic import TypeAdapter, ValidationError

from beamwise.backbones import AnyBackboneConfig, PretrainedConfig
from beamwise.backbones.pretrained_config import LoraConfig, TinyConfig
from beamwise.config import read_config, write_config


def test_the_name_chooses_it():
    settings = {"name": "pretrained", "model": "smollm2", "lora": {"r": 4}}
    config = TypeAdapter(AnyBackboneConfig).validate_python(settings)
    assert config == PretrainedConfig(model="smollm2", lora=LoraConfig(r=4))


def test_defaults_of_the_adapters_are_those_of_the_bear_paper():
    lora = LoraConfig()
    assert (lora.r, lora.alpha, lora.dropout) == (8, 16, 0.05)
    assert lora.target_modules == ("q_proj", "v_proj")


def test_settings_survive_their_file(tmp_path):
    config = PretrainedConfig(model="smollm2", lora=LoraConfig(), base_precision="bf16")
    write_config(config, tmp_path / "config.yaml")
    assert read_config(PretrainedConfig, tmp_path / "config.yaml") == config
    overridden = read_config(PretrainedConfig, None, ["model=smollm2", "lora.r=16"])
    assert overridden.lora == LoraConfig(r=16)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lora": {}}, "weights that were never trained learn little"),
        ({"model": "x", "base_precision": "bf16"}, "base_precision=bf16 without lora"),
        ({"tiny": {"dim": 12, "num_heads": 4}}, r"dim=12 must be a multiple of 2 \* num_heads=8"),
        ({"model": "x", "lora": {"target_modules": []}}, "at least 1 item"),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        PretrainedConfig.model_validate(settings)


def test_a_head_of_even_width_is_accepted():
    assert TinyConfig(dim=16, num_heads=8).dim == 16

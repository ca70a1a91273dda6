import json

import pytest
import torch

from beamwise.backbones import PretrainedConfig
from beamwise.backbones.pretrained_config import LoraConfig, TinyConfig
from beamwise.backbones.pretrained_loading import describe, load_model, weights_hash
from beamwise.testing.tiny_language_models import tiny_model

TINY = TinyConfig(dim=16, num_layers=2, num_heads=2, feedforward_dim=24, rope_theta=500.0)
TOKENS = torch.tensor([[3, 4, 5, 6]])


@pytest.fixture
def folder(tmp_path):
    tiny_model().save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def test_tiny_is_a_llama_of_the_catalogs_vocabulary_seeded_by_torch():
    torch.manual_seed(3)
    model, weights = load_model(PretrainedConfig(tiny=TINY), 29)
    assert weights is None
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert model.get_input_embeddings().weight.shape == (29, 16)
    assert model.config.rope_parameters["rope_theta"] == 500.0
    assert len(model.model.layers) == 2
    assert not model.training
    torch.manual_seed(3)
    again = load_model(PretrainedConfig(tiny=TINY), 29).model
    assert weights_hash(again) == weights_hash(model)


def test_a_folder_is_read_with_its_weights_in_the_precision_asked_for(folder):
    model, weights = load_model(PretrainedConfig(model=str(folder)), 23)
    assert torch.equal(model(TOKENS).logits, tiny_model()(TOKENS).logits)
    assert weights == weights_hash(tiny_model())
    config = PretrainedConfig(model=str(folder), lora=LoraConfig(), base_precision="bf16")
    half = load_model(config, 23)
    assert half.model.dtype == torch.bfloat16
    assert half.weights != weights


def test_weights_saved_in_half_precision_are_trained_in_fp32(tmp_path):
    tiny_model().bfloat16().save_pretrained(tmp_path)
    assert load_model(PretrainedConfig(model=str(tmp_path)), 23).model.dtype == torch.float32


def test_the_hash_tells_any_weight_from_another():
    model = tiny_model()
    before = weights_hash(model)
    assert before == weights_hash(tiny_model())
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight[0, 0] += 1e-3
    assert weights_hash(model) != before


def test_a_run_whose_weights_are_all_trained_opens_without_those_it_began_with(tmp_path, folder):
    config = PretrainedConfig(model=str(folder))
    describe(tmp_path / "model", *load_model(config, 23))
    (folder / "model.safetensors").unlink()
    before = torch.get_rng_state()
    model, weights = load_model(config, 23, tmp_path / "model")
    assert torch.equal(torch.get_rng_state(), before)  # no weight was drawn to be replaced
    assert weights is None
    assert model.config._attn_implementation == "sdpa"
    model.load_state_dict(tiny_model().state_dict())
    assert torch.equal(model(TOKENS).logits, tiny_model()(TOKENS).logits)


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gpt_neox", "gpt2", "gemma", "opt", "phi"])
@pytest.mark.parametrize("tied", [False, True])
def test_a_model_without_numbers_becomes_itself_with_its_weights(tmp_path, kind, tied):
    settings = {"word_embed_proj_dim": 16, "ffn_dim": 16} if kind == "opt" else {}
    original = tiny_model(kind, tie_word_embeddings=tied, num_key_value_heads=2, **settings)
    describe(tmp_path, original, None)
    model = load_model(PretrainedConfig(model=kind), 23, tmp_path).model
    model.load_state_dict(dict(original.named_parameters()), strict=False)
    assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) == tied
    buffers = dict(original.named_buffers())
    assert dict(model.named_buffers()).keys() == buffers.keys()
    for name, buffer in model.named_buffers():  # as of rotations, which no checkpoint holds
        assert torch.equal(buffer, buffers[name]), name
    assert torch.equal(model(TOKENS).logits, original(TOKENS).logits)


def test_a_run_with_adapters_wants_the_weights_that_it_was_trained_on(tmp_path, folder):
    config = PretrainedConfig(model=str(folder), lora=LoraConfig())
    described = tmp_path / "run" / "model"
    describe(described, *load_model(config, 23))
    assert load_model(config, 23, described).weights == weights_hash(tiny_model())
    changed = tiny_model()
    with torch.no_grad():
        changed.model.norm.weight[0] = 9
    changed.save_pretrained(folder)
    with pytest.raises(ValueError, match=r"has other weights than those that .*run was trained on"):
        load_model(config, 23, described)


@pytest.mark.parametrize("damage", ["", "[]", "{}", "null"])
def test_a_damaged_description_is_named(tmp_path, folder, damage):
    config = PretrainedConfig(model=str(folder), lora=LoraConfig())
    describe(tmp_path, *load_model(config, 23))
    (tmp_path / "base.json").write_text(damage)
    with pytest.raises(ValueError, match=r"base\.json is missing or damaged: train the run again"):
        load_model(config, 23, tmp_path)
    whole = PretrainedConfig(model=str(folder))
    (tmp_path / "base.json").write_text(json.dumps({"weights": None}))
    (tmp_path / "config.json").write_text(damage)
    with pytest.raises(ValueError, match="describes no model") as refused:
        load_model(whole, 23, tmp_path)
    assert "\n" not in str(refused.value)


def test_a_vocabulary_larger_than_the_models_is_refused(folder):
    with pytest.raises(ValueError, match="has 23 tokens, the catalog has 24: tokenize"):
        load_model(PretrainedConfig(model=str(folder)), 24)


def test_weights_that_are_missing_are_never_made_up(folder, tmp_path):
    model = tiny_model()
    state = {k: v for k, v in model.state_dict().items() if "layers.1.mlp.up_proj" not in k}
    model.save_pretrained(tmp_path / "part", state_dict=state)
    message = r"no causal language model .*no weights for model\.layers\.1\.mlp\.up_proj\.weight"
    with pytest.raises(ValueError, match=message):
        load_model(PretrainedConfig(model=str(tmp_path / "part")), 23)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
def test_adapters_that_came_unmerged_are_refused(folder, tmp_path):
    import peft

    model = tiny_model()
    model.name_or_path = str(folder)
    peft.get_peft_model(model, peft.LoraConfig(r=2)).save_pretrained(tmp_path / "adapters")
    with pytest.raises(ValueError, match=r"adapters of peft, as yet unmerged: merge_and_unload"):
        load_model(PretrainedConfig(model=str(tmp_path / "adapters")), 23)


def test_what_is_no_model_is_named_in_one_line(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="holds no causal language model") as refused:
        load_model(PretrainedConfig(model=str(tmp_path)), 23)
    assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match="is no folder"):
        load_model(PretrainedConfig(model=str(tmp_path / "nowhere")), 23)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ValueError, match=r"needs transformers and peft: pip install 'beamwise\["):
        load_model(PretrainedConfig(), 23)

"""Folders of `transformers` become backbones with the same logits, or are refused in one line."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from beamwise.backbones import Llama, LlamaConfig, Tiger, TigerConfig
from beamwise.experiments.huggingface_folder import Vocabulary, open_huggingface

VOCAB = 50
SIZES = {
    "t5": TigerConfig(
        dim=8, num_encoder_layers=1, num_decoder_layers=1, num_heads=2, head_dim=4,
        feedforward_dim=8,
    ),
    "llama": LlamaConfig(dim=8, num_layers=1, num_heads=2, head_dim=4, feedforward_dim=8),
}  # fmt: skip


def made(kind):
    torch.manual_seed(0)
    return (Tiger if kind == "t5" else Llama)(SIZES[kind], VOCAB).eval()


def save(model, folder):
    """`save_pretrained` without its progress bar; its lines of config.json may be changed then."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    model.save_pretrained(folder)
    logging.enable_progress_bar()
    return folder


@pytest.fixture(params=["t5", "llama"])
def kind(request):
    return request.param


@pytest.fixture
def folder(kind, tmp_path):
    return save(made(kind).to_huggingface(), tmp_path / kind)


def change(folder, **settings):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def refusal(folder):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the caller looks at the message
        open_huggingface(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def test_weights_come_back(kind, folder, capfd):
    backbone, vocabulary = open_huggingface(folder)
    expected = made(kind).state_dict()
    for name, weight in backbone.state_dict().items():
        assert torch.equal(weight, expected[name]), name
    assert not backbone.training
    assert vocabulary.theirs.tolist() == list(range(VOCAB))
    assert capfd.readouterr() == ("", "")


def test_special_tokens_elsewhere_are_renamed(kind, tmp_path):
    """The same network with its rows of the embedding in other places has the same logits."""
    model = made(kind).to_huggingface()
    ids = {"decoder_start_token_id": 7, "pad_token_id": 7} if kind == "t5" else {}
    for name, token in {**ids, "eos_token_id": 9}.items():
        setattr(model.config, name, token)
    backbone, vocabulary = open_huggingface(save(model, tmp_path / "model"))
    assert vocabulary.ours[9] == 1
    if kind == "t5":
        assert vocabulary.ours[7] == 0
    assert sorted(vocabulary.theirs.tolist()) == list(range(VOCAB))
    assert torch.equal(vocabulary.ours[vocabulary.theirs], torch.arange(VOCAB))
    hidden = torch.randn(3, 8)
    expected = made(kind).logits(hidden)[:, vocabulary.theirs]
    torch.testing.assert_close(backbone.logits(hidden), expected)


def test_a_start_where_our_end_is_and_the_other_way_round():
    # Start 1 and end 0: rows 0 and 1 change places. Start 5, end 0: 0 goes to 5's place, then the
    # end stands at 5 and changes places with 1.
    assert Vocabulary(6, 1, 0, None).theirs.tolist() == [1, 0, 2, 3, 4, 5]
    assert Vocabulary(6, 5, 0, None).theirs.tolist() == [5, 0, 2, 3, 4, 1]
    assert Vocabulary(6, None, 3, None).theirs.tolist() == [0, 3, 2, 1, 4, 5]
    assert Vocabulary(6, None, 3, 0).roles == {"eos_token_id": 3, "pad_token_id": 0}


def test_no_folder_and_no_config(tmp_path):
    assert "no config.json" in refusal(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text("{")
    assert "is not JSON" in refusal(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    assert "model_type=None: give one of t5, llama" in refusal(tmp_path)


def test_another_architecture(folder):
    change(folder, model_type="gpt2")
    assert "model_type='gpt2': give one of t5, llama" in refusal(folder)
    change(folder, model_type="t5", architectures=["T5EncoderModel"])
    assert "T5ForConditionalGeneration" in refusal(folder)


def test_weights_that_are_missing_damaged_or_incomplete(kind, folder):
    path = folder / "model.safetensors"
    weights = load_file(path)
    lost = {"t5": "decoder.final_layer_norm.weight", "llama": "model.norm.weight"}[kind]
    save_file({name: w for name, w in weights.items() if name != lost}, path, {"format": "pt"})
    assert f"lacks 1 of the model's weights, as {lost}" in refusal(folder)
    path.write_bytes(b"no weights")
    assert "is no readable model" in refusal(folder)
    path.unlink()
    assert "model.safetensors is missing" in refusal(folder)
    (folder / "pytorch_model.bin").touch()
    assert "pickle only" in refusal(folder)


def test_weights_of_another_size(folder):
    change(folder, vocab_size=VOCAB + 1)
    assert "is no readable model" in refusal(folder)


@pytest.mark.parametrize("token", [None, VOCAB, [1, 2]])
def test_an_end_token_that_is_none(folder, token):
    change(folder, eos_token_id=token)
    assert f"eos_token_id={token} in config.json" in refusal(folder)


def test_a_start_that_is_the_end(tmp_path):
    folder = save(made("t5").to_huggingface(), tmp_path / "t5")
    change(folder, decoder_start_token_id=1)
    assert "token 1 as decoder_start_token_id and as eos_token_id" in refusal(folder)


def test_a_llama_whose_sequences_begin_with_a_token(tmp_path):
    folder = save(made("llama").to_huggingface(), tmp_path / "llama")
    change(folder, bos_token_id=2)
    assert "bos_token_id=2" in refusal(folder)


def test_a_head_that_is_not_the_embedding(kind, tmp_path):
    """Tokens are renamed in the embedding alone, so a head of its own cannot be had."""
    model = made(kind).to_huggingface()
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
    saved = save(model, tmp_path / kind)
    assert "lm_head.weight" in load_file(saved / "model.safetensors")
    assert "tie" in refusal(saved)


def test_a_part_that_no_backbone_has(tmp_path):
    folder = save(made("llama").to_huggingface(), tmp_path / "llama")
    change(folder, hidden_act="gelu")
    assert "hidden_act='gelu'" in refusal(folder)

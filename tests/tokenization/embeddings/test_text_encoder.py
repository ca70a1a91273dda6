"""Pretrained text models: the mean over a text's tokens, and one line where there is no model."""

import builtins
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from beamwise.tokenization.embeddings.text_encoder import encode, open_encoder

TEXTS = ["blue pen", "lamp", "red lamp on the blue desk"]


def naive_mean(folder, text):
    """One text alone, without padding."""
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")["input_ids"]
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return model(input_ids=tokens).last_hidden_state[0].mean(dim=0).numpy()


@pytest.mark.parametrize("name", ["tiny_bert", "tiny_llama"])
def test_a_padded_batch_equals_each_text_alone(name, request):
    folder = request.getfixturevalue(name)
    encoder = open_encoder(str(folder), None, "fp32", "cpu")
    means = encode(encoder, TEXTS, 16)
    expected = [naive_mean(folder, text) for text in TEXTS]
    np.testing.assert_allclose(means, expected, rtol=1e-5, atol=1e-6)


def test_a_causal_model_reads_order(tiny_llama):
    encoder = open_encoder(str(tiny_llama), None, "fp32", "cpu")
    assert encoder.tokenizer.pad_token is None
    first, second = encode(encoder, ["blue pen", "pen blue"], 16)
    assert not np.allclose(first, second, atol=1e-3)


def test_texts_are_cut_to_max_tokens(tiny_llama):
    encoder = open_encoder(str(tiny_llama), None, "fp32", "cpu")
    cut = encode(encoder, ["blue pen red lamp"], 2)
    np.testing.assert_allclose(cut, encode(encoder, ["blue pen"], 16), atol=1e-6)


def test_a_text_without_tokens_is_zero(tiny_llama):
    encoder = open_encoder(str(tiny_llama), None, "fp32", "cpu")
    means = encode(encoder, ["!", "blue"], 16)
    np.testing.assert_array_equal(means[0], 0)
    np.testing.assert_allclose(means[1:], encode(encoder, ["blue"], 16), atol=1e-6)
    np.testing.assert_array_equal(encode(encoder, ["!"], 16), means[:1])


def test_of_an_encoder_decoder_the_encoder(tiny_t5):
    encoder = open_encoder(str(tiny_t5), None, "fp32", "cpu")
    means = encode(encoder, TEXTS, 16)
    assert means.shape == (3, 8)
    np.testing.assert_allclose(encode(encoder, TEXTS[1:2], 16), means[1:2], rtol=1e-5, atol=1e-6)


def test_bf16_weights_fp32_means(tiny_bert):
    encoder = open_encoder(str(tiny_bert), None, "bf16", "auto")
    means = encode(encoder, TEXTS, 16)
    assert next(encoder.model.parameters()).dtype == torch.bfloat16
    assert means.dtype == np.float32
    exact = encode(open_encoder(str(tiny_bert), None, "fp32", "cpu"), TEXTS, 16)
    np.testing.assert_allclose(means, exact, atol=0.05)  # bf16 has 8 bits, after two layers
    assert not np.array_equal(means, exact)


def test_more_tokens_than_the_model_reads(tiny_bert):
    encoder = open_encoder(str(tiny_bert), None, "fp32", "cpu")
    encoder.check_max_tokens(16)
    with pytest.raises(ValueError, match=r"reads at most 16 tokens.*is 17: --set .*max_tokens=16"):
        encoder.check_max_tokens(17)


def one_line(model, device="cpu"):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        open_encoder(str(model), None, "fp32", device)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_unknown_name_without_network(monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    message = one_line("no-such-owner/no-such-model")
    assert "'no-such-owner/no-such-model' is no folder and no model at hand" in message
    assert "give a folder with config.json" in message


@pytest.mark.parametrize("content", [None, "{}", "{", '{"model_type": "bert"}'])
def test_a_folder_that_is_no_model(tmp_path, content):
    pytest.importorskip("transformers")
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    assert f"{str(tmp_path)!r} holds no model that can be loaded (" in one_line(tmp_path)


@pytest.fixture
def copied(tiny_bert, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_bert, folder)
    return folder


def test_a_folder_without_tokenizer(copied):
    for path in copied.glob("token*"):
        path.unlink()
    assert "holds no model that can be loaded (there is no vocabulary" in one_line(copied)


def test_weights_that_are_cut_short(copied):
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "holds no model" in one_line(copied)


def test_absent_weights_are_not_replaced_by_noise_unless_unused(copied):
    weights = copied / "model.safetensors"
    tensors = load_file(weights)
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("pooler")}
    assert len(kept) < len(tensors)
    save_file(kept, weights, {"format": "pt"})
    open_encoder(str(copied), None, "fp32", "cpu")
    del kept["encoder.layer.1.output.dense.weight"]
    save_file(kept, weights, {"format": "pt"})
    assert "there are no weights for encoder.layer.1.output.dense.weight" in one_line(copied)


def test_code_of_the_model_is_not_run(tiny_bert, tmp_path):
    config = json.loads((tiny_bert / "config.json").read_text())
    config |= {
        "model_type": "custom",
        "auto_map": {"AutoModel": "ran.Model", "AutoConfig": "ran.C"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    marker = tmp_path / "marker"
    (tmp_path / "ran.py").write_text(f"open({str(marker)!r}, 'w')")
    assert "holds no model" in one_line(tmp_path)
    assert not marker.exists()


def test_a_device_that_is_not_there(tiny_bert):
    if torch.accelerator.is_available():
        pytest.skip("there is an accelerator")
    assert "embedding.device=cuda:7 is not there" in one_line(tiny_bert, "cuda:7")


def test_without_the_extra(monkeypatch, tmp_path):
    real = builtins.__import__

    def refuse(name, *rest, **options):
        if name.partition(".")[0] == "transformers":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert "needs transformers: pip install 'beamwise[text]'" in one_line(tmp_path)


@pytest.mark.parametrize("name", ["./m", "../m", "/no/m", "~/m", "a/b/c", "models/"])
def test_a_path_of_no_folder_is_not_asked_of_the_hub(name, monkeypatch, tmp_path):
    import transformers

    monkeypatch.chdir(tmp_path)
    asked = []
    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", asked.append)
    with pytest.raises(ValueError, match="is no folder: give the folder of a model, or a name"):
        open_encoder(name, None, "fp32", "cpu")
    assert asked == []

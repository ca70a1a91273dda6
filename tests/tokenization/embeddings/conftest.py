"""Tiny pretrained models with random weights, made without a network."""

import pytest


def _tokenizer(folder, *, special_tokens):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "blue", "red", "pen", "lamp", "desk"]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Replace("!", "")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"unk_token": "[UNK]"}
    if special_tokens:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
        names |= {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)


def _save(folder, model, *, special_tokens):
    model.save_pretrained(folder)
    _tokenizer(folder, special_tokens=special_tokens)
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    """An encoder with special and padding tokens; it reads 16 tokens."""
    transformers = pytest.importorskip("transformers")
    import torch

    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=16, pad_token_id=3,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("bert")
    return _save(folder, transformers.BertModel(config), special_tokens=True)


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory):
    """A decoder whose tokenizer has neither special nor padding tokens."""
    transformers = pytest.importorskip("transformers")
    import torch

    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=600,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("llama")
    return _save(folder, transformers.LlamaForCausalLM(config), special_tokens=False)


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory):
    """An encoder-decoder."""
    transformers = pytest.importorskip("transformers")
    import torch

    torch.manual_seed(2)
    config = transformers.T5Config(
        vocab_size=9, d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2, pad_token_id=3
    )
    folder = tmp_path_factory.mktemp("t5")
    return _save(folder, transformers.T5ForConditionalGeneration(config), special_tokens=True)

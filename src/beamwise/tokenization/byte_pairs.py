"""The tokenizer of the model `tiny`: byte pairs learned from the catalog's own titles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from beamwise.tokenization.title_tokenizer import TITLES_NEED

BEGIN, END, PADDING = "<|begin|>", "<|end|>", "<|padding|>"
SPECIAL = (BEGIN, END, PADDING)
SMALLEST = 256 + len(SPECIAL)
"""Every byte is a token, so that any text can be written."""


def learn_byte_pairs(texts: Sequence[str], vocab_size: int) -> Any:
    """A fast tokenizer of `transformers` with the most frequent pairs of bytes in some texts.

    It writes any text, and reads it back the same. Prompts begin with a begin token. Equal texts
    give an equal tokenizer.

    Args:
        texts: What to learn from.
        vocab_size: Tokens at most, special ones counted; few texts give fewer.

    Raises:
        ValueError: One line, if the vocabulary cannot hold all bytes, or transformers is not
            installed.
    """
    if vocab_size < SMALLEST:
        raise ValueError(
            f"vocab_size must be >= {SMALLEST} to hold every byte and {len(SPECIAL)} special "
            f"tokens, got {vocab_size}"
        )
    try:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
        from transformers import PreTrainedTokenizerFast
    except ImportError:
        raise ValueError(TITLES_NEED) from None
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, tokenizer.token_to_id(BEGIN))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END, pad_token=PADDING
    )

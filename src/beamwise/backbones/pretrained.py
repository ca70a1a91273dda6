"""A causal language model of `transformers`: it reads titles and scores the next one's tokens."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from beamwise._language_models import TINY, model_folder, quiet_transformers
from beamwise.backbones.adapters import add_adapters, merged_copy
from beamwise.backbones.base import History, PrefixNodes, check_items
from beamwise.backbones.forest import Forest
from beamwise.backbones.layer_checkpointing import checkpointed_layers
from beamwise.backbones.prefix_cache import kept, prefix_cache
from beamwise.backbones.prefix_masks import packed_mask
from beamwise.backbones.prefix_probe import check_architecture, check_probe
from beamwise.backbones.pretrained_base import on_same_weights
from beamwise.backbones.pretrained_config import PretrainedConfig
from beamwise.backbones.pretrained_context import (
    PretrainedCache,
    PretrainedContext,
    positions_of,
    roots_of,
    sight_of,
)
from beamwise.backbones.pretrained_loading import check_weights, describe, load_model
from beamwise.backbones.prompts import prompt_of
from beamwise.catalog import Catalog
from beamwise.tokenization.title_tokenizer import TitleTokenizer, open_text_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Pretrained(nn.Module):
    """A causal language model behind the backbone protocol.

    The context is a prompt with the titles of the history; a root is its last token, so its hidden
    state is looked up and never computed. Nodes lie along the query dimension, with a mask that
    shows each its context and ancestors, and positions of their own.
    """

    Config = PretrainedConfig
    causal_context: ClassVar[bool] = False

    def __init__(
        self,
        model: PreTrainedModel,
        config: PretrainedConfig | None = None,
        titles: TitleTokenizer | None = None,
        weights: str | None = None,
        *,
        weights_follow: bool = False,
    ) -> None:
        """Take over a model, and put adapters into it where the settings have some.

        Args:
            model: Without adapters; changed in place.
            config: Its `model` only names it.
            titles: Encodes histories; without it everything else works.
            weights: The hash of the model's weights, where it is known.
            weights_follow: Whether the model has no numbers yet: it is tried once they are loaded.

        Raises:
            ValueError: One line, if the model cannot be run over prefix trees or adapted.
        """
        super().__init__()
        self.config = config or PretrainedConfig(model=type(model).__name__)
        check_architecture(model, self.config.model)
        self.model, self.titles, self._weights = model, titles, weights
        self._known_titles: tuple[str, list[str]] = ("", [])
        if self.config.lora is not None:
            add_adapters(model, self.config.lora)
        for parameter in self.head.parameters():  # in bf16, logits would be off and reorder
            parameter.data = parameter.data.to(_at_least_fp32(parameter))
        self.train(model.training)
        self._is_tried = not weights_follow
        if self._is_tried:
            check_probe(self, self.config.model)
        else:
            self.register_load_state_dict_post_hook(_try_once)

    @classmethod
    def open(
        cls,
        config: PretrainedConfig,
        vocab_size: int,
        tokenizer: Path,
        described: Path | None = None,
    ) -> Pretrained:
        """The model that the settings name.

        Args:
            config: Settings.
            vocab_size: Of the catalog.
            tokenizer: Folder of the titles' tokenizer.
            described: What `describe` wrote, where weights of a checkpoint follow.

        Raises:
            ValueError: One line, if something is missing, damaged, or does not fit.
        """
        titles = TitleTokenizer.load(tokenizer)
        if described is None:  # a run was refused where they do not fit, and its model may be gone
            _check_tokenizer(config, titles)
            _check_begin(config, titles)
        model, weights = load_model(config, vocab_size, described)
        weights_follow = described is not None and config.lora is None
        return cls(model, config, titles, weights, weights_follow=weights_follow)

    @property
    def vocab_size(self) -> int:
        """Tokens that `logits` scores: all that the model has, of which the catalog uses some."""
        return self.head.weight.shape[0]

    @property
    def head(self) -> nn.Linear:
        """The output embedding."""
        return self.model.get_output_embeddings()  # pyright: ignore[reportReturnType]

    def encode_histories(
        self, item_indices: Int64[Tensor, "batch history"], catalog: Catalog
    ) -> History:
        """The prompt of each user, as tokens; an empty history has the prompt of its own rule.

        Raises:
            ValueError: If an index is not an item of the catalog, or a prompt with the longest
                title is longer than the model's positions.
        """
        check_items(item_indices, catalog)
        assert self.titles is not None, "no tokenizer was given"
        titles = self._titles_of(catalog)
        rows = [[titles[index] for index in row if index >= 0] for row in item_indices.tolist()]
        prompts = [prompt_of(row, self.config.prompt) for row in rows]
        tokens = [torch.tensor(row) for row in self.titles.encode_prompts(prompts)]
        lengths = torch.tensor([len(row) for row in tokens])
        self._check_lengths(lengths, catalog.num_levels)
        device = item_indices.device
        return History(pad_sequence(tokens, batch_first=True).to(device), lengths.to(device))

    def read(self, history: History) -> PretrainedContext:
        """Compute the prompts' tokens; padding stands last, where no token sees it."""
        from transformers.cache_utils import DynamicCache

        cache: Any = DynamicCache(config=self.model.config)
        positions = positions_of(history)
        hidden = self._run(history.tokens, positions, past_key_values=cache, use_cache=True)
        keys, values = zip(*((layer.keys, layer.values) for layer in cache.layers), strict=True)
        return PretrainedContext(keys, values, hidden, history.lengths)

    def extend(
        self, context: PretrainedContext, nodes: PrefixNodes, cache: PretrainedCache | None = None
    ) -> tuple[Float[Tensor, "batch nodes dim"], PretrainedCache]:
        """Compute new nodes on top of the context and of the nodes in `cache`."""
        if cache is None:
            none = nodes.parents[:, :0]
            cache = PretrainedCache((), (), none, none.new_empty(0))
        forest = Forest.of(nodes, cache.parents, cache.places)
        hidden = roots_of(context.hidden, context.lengths, nodes)
        keys, values = cache.keys, cache.values
        if forest.num_new:
            of_context, of_nodes = sight_of(forest, context.lengths, context.hidden.shape[1])
            before = list(zip(context.keys, context.values, strict=True))
            known = prefix_cache(before, list(zip(keys, values, strict=True)))
            computed = self._run(
                forest.nodes.tokens,
                forest.positions,
                attention_mask=torch.cat((of_context, of_nodes), -1)[:, None],
                past_key_values=known,
                use_cache=True,
            )
            keys, values = kept(known)
            hidden = forest.placed(computed.flatten(0, 1), hidden)
        return hidden, PretrainedCache(keys, values, forest.parents, forest.places)

    def forward(self, history: History, nodes: PrefixNodes) -> Float[Tensor, "batch nodes dim"]:
        """Hidden states of a whole tree: `read` and `extend` in one pass, without a cache."""
        none = nodes.parents[:, :0]
        forest = Forest.of(nodes, none, none.new_empty(0))
        width = history.tokens.shape[1]
        mask = packed_mask(*sight_of(forest, history.lengths, width))
        tokens = torch.cat((history.tokens, forest.nodes.tokens), 1)
        positions = torch.cat((positions_of(history), forest.positions), 1)
        with self._checkpointed():
            hidden = self._run(tokens, positions, attention_mask=mask, use_cache=False)
        roots = roots_of(hidden[:, :width], history.lengths, nodes)
        if not forest.num_new:
            return roots
        return forest.placed(hidden[:, width:].flatten(0, 1), roots)

    def logits(
        self, hidden: Float[Tensor, "*nodes dim"], tokens: Int64[Tensor, " tokens"] | None = None
    ) -> Float[Tensor, "*nodes scored"]:
        """Scores of the next token, over the vocabulary or over `tokens` only."""
        weight, bias = self.head.weight, self.head.bias
        if tokens is not None:
            weight = F.embedding(tokens, weight)
            bias = None if bias is None else bias[tokens]
        with torch.autocast(hidden.device.type, enabled=False):
            return F.linear(hidden.to(weight.dtype), weight, bias)

    def embed(self, tokens: Int64[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens dim"]:
        """What the first layer reads; the residual stream is fp32 even where weights are bf16."""
        embedded = self.model.get_input_embeddings()(tokens.clamp(min=0))
        return embedded.to(_at_least_fp32(embedded))

    def products(self) -> AbstractContextManager[Any]:
        """The precision of matrix products: that of the base weights where it is the lower one."""
        if self.config.base_precision == "fp32":
            return nullcontext()
        return torch.autocast(self.model.device.type, torch.bfloat16)

    def to_huggingface(self) -> PreTrainedModel:
        """A copy that `transformers` loads and runs by itself, in fp32, adapters merged.

        Settings of text generation that the checkpoint brought along are left behind.
        """
        from transformers import GenerationConfig

        model = merged_copy(self.model).train(self.training)
        if self.titles is not None:
            model.config.eos_token_id = self.titles.end_token
        model.generation_config = GenerationConfig(eos_token_id=model.config.eos_token_id)
        return model

    def save_pretrained(self, folder: Path) -> None:
        """Write `to_huggingface` and the tokenizer, as `from_pretrained` reads them."""
        with quiet_transformers():
            self.to_huggingface().save_pretrained(folder)
        if self.titles is not None:
            self.titles.text.save_pretrained(folder)

    def describe(self, folder: Path) -> None:
        """Write what `open` needs beside a checkpoint."""
        describe(folder, self.model, self._weights)

    def has_the_base_of(self, config: object) -> bool:
        """Whether a backbone of these settings has the frozen weights of this one."""
        return self.config.lora is not None and self.config == config

    def with_settings(self, config: object) -> Pretrained:
        """A backbone of other settings on the same frozen weights, with fresh adapters.

        This one itself where the settings are its own, or name other frozen weights or none.
        """
        if self.config.lora is None or self.config == config:
            return self
        if not isinstance(config, PretrainedConfig) or config.lora is None:
            return self
        if (config.model, config.base_precision) != (self.config.model, self.config.base_precision):
            return self
        return Pretrained(on_same_weights(self.model), config, self.titles, self._weights)

    def check_base(self, described: Path) -> None:
        """Refuse to go on from other weights than the described ones.

        Raises:
            ValueError: One line, if they are others.
        """
        check_weights(self._weights, self.config, described)

    def _run(
        self,
        tokens: Int64[Tensor, "batch tokens"],
        positions: Int64[Tensor, "batch tokens"],
        **how: Any,
    ) -> Float[Tensor, "batch tokens dim"]:
        with self.products():
            result = self.model.base_model(
                inputs_embeds=self.embed(tokens), position_ids=positions, **how
            )
        return result.last_hidden_state

    def _checkpointed(self) -> AbstractContextManager[None]:
        if not (self.config.gradient_checkpointing and torch.is_grad_enabled()):
            return nullcontext()
        return checkpointed_layers(self.model)

    def _titles_of(self, catalog: Catalog) -> list[str]:
        """The title of every item; decoded once a catalog."""
        assert self.titles is not None
        if self._known_titles[0] != catalog.version:
            self._known_titles = (catalog.version, self.titles.titles_of(catalog))
        return self._known_titles[1]

    def _check_lengths(self, lengths: Int64[Tensor, " batch"], num_levels: int) -> None:
        if int(lengths.min()) == 0:
            raise ValueError(
                "a prompt without a token: give prompt.template or prompt.empty_history some text"
            )
        config, name = self.model.config, "max_position_embeddings"
        limit = config.to_dict().get(type(config).attribute_map.get(name, name))
        longest = int(lengths.max()) + num_levels
        if limit is not None and longest > limit:
            raise ValueError(
                f"a prompt of {longest - num_levels} tokens and a title of {num_levels} are longer "
                f"than the {limit} positions of model {self.config.model!r}: lower "
                "data.max_history, or shorten backbone.prompt.template"
            )


def _try_once(backbone: Pretrained, _: Any) -> None:
    """Try a model with the first weights that are loaded into it."""
    if not backbone._is_tried:
        backbone._is_tried = True
        check_probe(backbone, backbone.config.model)


def _at_least_fp32(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)


def _check_tokenizer(config: PretrainedConfig, titles: TitleTokenizer) -> None:
    """Refuse tokens that mean something else to the model."""
    if config.model in (TINY, titles.config.model):
        return
    theirs = open_text_tokenizer(model_folder(config.model)).get_vocab()
    if theirs != titles.text.get_vocab():
        raise ValueError(
            f"the titles were tokenized for model {titles.config.model!r}, backbone.model is "
            f"{config.model!r}, whose tokens are others: tokenize again with --set "
            f"model={config.model}"
        )


def _check_begin(config: PretrainedConfig, titles: TitleTokenizer) -> None:
    """Refuse prompts that begin with a token which the tokenizer puts there by itself."""
    begin = titles.text.bos_token_id
    prompts = [prompt_of(history, config.prompt) for history in ([], ["a"])]
    if any(row[:2] == [begin, begin] for row in titles.encode_prompts(prompts)):
        raise ValueError(
            f"backbone.prompt begins with {titles.text.bos_token!r}, which the tokenizer of model "
            f"{titles.config.model!r} puts before every text: leave it out of the prompt"
        )

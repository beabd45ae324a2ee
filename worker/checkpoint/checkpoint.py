"""A checkpoint directory as sentence-transformers or transformers writes it.

    modules.json                        which modules follow each other (optional)
    config.json                         the architecture and its sizes, or gliner_config.json
    model.safetensors                   the weights, or an index and its shards, or
                                        pytorch_model.bin in either form
    tokenizer.json                      read by worker.texts
    tokenizer_config.json               model_max_length (optional)
    sentence_bert_config.json           max_seq_length, do_lower_case (optional); the first
                                        releases named it after the model's family
    config_sentence_transformers.json   prompts, a cross-encoder's activation (optional)
    1_Pooling/, 2_Dense/, ...           read by worker.checkpoint.heads

Opening one reads the small JSON files only; `weights()` maps the tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from worker.checkpoint.config import CheckpointError, Config
from worker.checkpoint.heads import SPAN_CONFIG, Head, Output, head_files, heads_of
from worker.checkpoint.modules import encoder_path, read_modules
from worker.checkpoint.token_types import type_count
from worker.checkpoint.weights import Weights, weight_files

# Tokenizers without a limit of their own write this order of magnitude (int(1e30)).
_UNLIMITED = 1_000_000_000

# GLiNER checkpoints bound words; with labels and rare words there are about so many tokens.
_SPAN_TOKENS_PER_WORD = 3

# In the order in which sentence-transformers looks for them.
_SENTENCE_CONFIGS = ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint directory says about the model, without its weights.

    Attributes:
        root: the directory as given.
        directory: where config.json, the weights and tokenizer.json lie, in it or below it.
        config: config.json.
        heads: what the model answers with; the first is its default.
        max_length: the longest input in tokens, special tokens included.
        do_lower_case: whether texts are lower-cased before the tokenizer sees them.
        prompts: texts to put before an input, by name, such as `query`.
        default_prompt: what is put before an input that is neither query nor document.

    """

    root: Path
    directory: Path
    config: Config
    heads: tuple[Head, ...]
    max_length: int
    do_lower_case: bool
    prompts: Mapping[str, str]
    default_prompt: str

    @classmethod
    def open(cls, root: Path) -> Checkpoint:
        """Read the configuration files.

        Raises:
            CheckpointError: a file is missing, malformed or asks for what is not supported.

        """
        modules = read_modules(root)
        directory = root / encoder_path(modules)
        config = _config(directory)
        sentence = _sentence_config(directory)
        prompts = Config.read_optional(root / "config_sentence_transformers.json")
        texts = prompts.below("prompts")
        named = {name: texts.text(name, default="") for name in texts.values}
        return cls(
            root=root,
            directory=directory,
            config=config,
            heads=heads_of(root, modules, config),
            max_length=_max_length(sentence, config, directory),
            do_lower_case=sentence.values.get("do_lower_case") is True,
            prompts=named,
            default_prompt=named.get(prompts.text("default_prompt_name", default=""), ""),
        )

    @property
    def tokenizer_path(self) -> Path:
        return self.directory / "tokenizer.json"

    def tokenizer_files(self) -> list[Path]:
        """Return the files that decide which id a token has, as far as they are there."""
        names = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
        return [file for name in names if (file := self.directory / name).exists()]

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What the model answers with; the first is its default."""
        return tuple(head.output for head in self.heads)

    @property
    def labels(self) -> tuple[str, ...]:
        """What the logits stand for, in their order; empty where config.json does not say."""
        names = self.config.below("id2label").values
        try:
            return tuple(str(names[number]) for number in sorted(names, key=int))
        except ValueError:
            problem = "id2label does not number its labels"
            raise CheckpointError(self.config.path, problem) from None

    @property
    def reads_type_ids(self) -> bool:
        """Whether the model is told which text of a pair a token belongs to."""
        return type_count(self.config) > 1 and Output.LOGITS in self.outputs

    def recipe(self) -> dict[str, Any]:
        """Everything beside the weights that decides the compiled graph, as JSON values."""
        return {
            "config": self.config.values,
            "heads": [{"output": head.output, **asdict(head)} for head in self.heads],
            "max_length": self.max_length,
        }

    def weight_files(self) -> list[Path]:
        """Return the weights files of the encoder and of the heads, in a stable order."""
        return self._encoder_files() + head_files(self.root, self.heads)

    def weights(self) -> Weights:
        """Map the encoder's weights; the caller closes them.

        Raises:
            CheckpointError: a weights file is missing or corrupt.

        """
        return Weights(self._encoder_files())

    def _encoder_files(self) -> list[Path]:
        return weight_files(self.directory, "model")


def _config(directory: Path) -> Config:
    path = directory / "config.json"
    spans = directory / SPAN_CONFIG
    return Config.read(spans if spans.exists() and not path.exists() else path)


def _sentence_config(directory: Path) -> Config:
    named = (directory / f"sentence_{family}_config.json" for family in _SENTENCE_CONFIGS)
    first = next((path for path in named if path.exists()), directory / "sentence_bert_config.json")
    return Config.read_optional(first)


def _max_length(sentence: Config, config: Config, directory: Path) -> int:
    chosen = sentence.positive("max_seq_length")
    if chosen is not None:
        return chosen
    tokenizer = Config.read_optional(directory / "tokenizer_config.json")
    # Models of texts and images keep what concerns texts apart.
    body = config.below("text_config", config.values)
    limits = [
        body.positive("max_position_embeddings", "n_positions"),
        tokenizer.positive("model_max_length"),
    ]
    known = [limit for limit in limits if limit is not None and limit < _UNLIMITED]
    if not known and config.path.name == SPAN_CONFIG:
        return config.integer("max_len") * _SPAN_TOKENS_PER_WORD
    if not known:
        raise CheckpointError(config.path, "states no maximum length, nor do the files beside it")
    return min(known)

"""A checkpoint directory as sentence-transformers or transformers writes it.

    modules.json                    which modules follow each other (optional)
    config.json                     the architecture and its sizes
    model.safetensors               the weights, or model.safetensors.index.json and its shards
    tokenizer.json                  read by worker.tokenizer
    tokenizer_config.json           model_max_length (optional)
    sentence_bert_config.json       max_seq_length, do_lower_case (optional)
    1_Pooling/config.json           the pooling mode

Opening one reads the small JSON files only; `weights()` maps the tensors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from worker.vocabulary import token_ids
from worker.weights import CheckpointError, Weights

__all__ = ["Checkpoint", "CheckpointError", "Config", "Pooling"]

# Tokenizers without a limit of their own write this order of magnitude (int(1e30)).
_UNLIMITED = 1_000_000_000
# The modules that hold config.json and the weights.
_BODIES = ("Transformer", "CLIPModel")


class Pooling(StrEnum):
    """How the token vectors of a text become one vector."""

    MEAN = "mean"
    CLS = "cls"
    LAST_TOKEN = "lasttoken"  # noqa: S105 - no password


@dataclass(frozen=True, slots=True)
class Config:
    """A JSON object on disk whose entries are read with their type."""

    path: Path
    values: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Config:
        """Raise CheckpointError if the file is missing or is not a JSON object."""
        values = _read_json(path)
        if not isinstance(values, dict):
            raise CheckpointError(path, "is not a JSON object")
        return cls(path, values)

    @classmethod
    def read_optional(cls, path: Path) -> Config:
        return cls.read(path) if path.exists() else cls(path, {})

    def integer(self, name: str) -> int:
        """Raise CheckpointError if the entry is absent or no positive integer."""
        value = self.positive(name)
        if value is None:
            raise CheckpointError(self.path, f"has no {name}")
        return value

    def positive(self, name: str) -> int | None:
        """Return a positive integer, or None where the entry is absent or null."""
        value = self.values.get(name)
        if value is None:
            return None
        # Some tokenizers write their limit as a float (1e30).
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 1:
            raise CheckpointError(self.path, f"{name} is not a positive number: {value!r}")
        return int(value)

    def number(self, name: str, default: float) -> float:
        value = self.values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CheckpointError(self.path, f"{name} is not a number: {value!r}")
        return float(value)

    def text(self, name: str, default: str) -> str:
        value = self.values.get(name, default)
        if not isinstance(value, str):
            raise CheckpointError(self.path, f"{name} is not a string: {value!r}")
        return value

    def section(self, name: str, defaults: Mapping[str, Any] | None = None) -> Config:
        """Return a nested object, over the defaults; absent or null is an empty one."""
        value = self.values.get(name)
        if not isinstance(value, dict | None):
            raise CheckpointError(self.path, f"{name} is not an object: {value!r}")
        return Config(self.path, {**(defaults or {}), **(value or {})})


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint directory says about the model, without its weights.

    Attributes:
        directory: where config.json, the weights and tokenizer.json lie.
        config: config.json.
        pooling: how token vectors become one; mean where nothing is said, as
            sentence-transformers does for a bare transformers directory.
        normalize: whether the vectors are scaled to unit length.
        max_length: the longest input in tokens, special tokens included.
        do_lower_case: whether texts are lower-cased before the tokenizer sees them.

    """

    directory: Path
    config: Config
    pooling: Pooling
    normalize: bool
    max_length: int
    do_lower_case: bool

    @classmethod
    def open(cls, directory: Path) -> Checkpoint:
        """Read the configuration files.

        Raises:
            CheckpointError: a file is missing, malformed or asks for what is not supported.

        """
        modules = _modules(directory)
        root = directory / next((modules[kind] for kind in _BODIES if kind in modules), "")
        config = Config.read(root / "config.json")
        sentence = Config.read_optional(root / "sentence_bert_config.json")
        return cls(
            directory=root,
            config=config,
            pooling=_pooling(directory, modules),
            normalize="Normalize" in modules,
            max_length=_max_length(sentence, config, root),
            do_lower_case=sentence.values.get("do_lower_case") is True,
        )

    @property
    def tokenizer_path(self) -> Path:
        return self.directory / "tokenizer.json"

    @property
    def pad_token_id(self) -> int:
        """The id of the padding token that tokenizer_config.json names.

        Raises:
            CheckpointError: it names none, or one that tokenizer.json does not have.

        """
        config = Config.read_optional(self.directory / "tokenizer_config.json")
        named = config.values.get("pad_token")
        # Spelled out with its flags, or by its content alone.
        token = named.get("content") if isinstance(named, dict) else named
        if not isinstance(token, str):
            raise CheckpointError(config.path, f"pad_token is not a token: {named!r}")
        return token_ids(self.tokenizer_path, token)[0]

    def recipe(self) -> dict[str, Any]:
        """Everything beside the weights that decides the compiled graph, as JSON values."""
        return {
            "config": self.config.values,
            "pooling": self.pooling.value,
            "normalize": self.normalize,
            "max_length": self.max_length,
        }

    def weight_files(self) -> list[Path]:
        """Return the safetensors files, one or the shards of the index, in a stable order."""
        index = self.directory / "model.safetensors.index.json"
        if not index.exists():
            return [self.directory / "model.safetensors"]
        shards = Config.read(index).values.get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise CheckpointError(index, "has no weight_map")
        return [self.directory / name for name in sorted(set(shards.values()))]

    def weights(self) -> Weights:
        """Map the weights; the caller closes them.

        Raises:
            CheckpointError: a weights file is missing or corrupt.

        """
        return Weights(self.weight_files())


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(path, "is missing") from None
    except ValueError as error:
        raise CheckpointError(path, f"is not JSON: {error}") from error


def _modules(directory: Path) -> dict[str, str]:
    """Return the path of each module by its class name, from modules.json where there is one."""
    path = directory / "modules.json"
    if not path.exists():
        return {}
    listed = _read_json(path)
    try:
        modules = {entry["type"].rpartition(".")[2]: entry["path"] for entry in listed}
    except (TypeError, KeyError, AttributeError):
        raise CheckpointError(path, "is not a list of modules with type and path") from None
    unsupported = modules.keys() - {*_BODIES, "Pooling", "Normalize"}
    if unsupported:
        raise CheckpointError(path, f"has unsupported modules: {', '.join(sorted(unsupported))}")
    return modules


def _pooling(directory: Path, modules: dict[str, str]) -> Pooling:
    """Read either spelling: one flag a mode, or `pooling_mode` with the mode's name."""
    if "Pooling" not in modules:
        return Pooling.MEAN
    config = Config.read(directory / modules["Pooling"] / "config.json")
    flags = [
        name.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
        for name, value in config.values.items()
        if name.startswith("pooling_mode_") and value is True
    ]
    named = config.values.get("pooling_mode")
    mode = str(named) if named is not None else "+".join(flags) or "none"
    try:
        return Pooling(mode)
    except ValueError:
        raise CheckpointError(config.path, f"pooling mode {mode} is not supported") from None


def _max_length(sentence: Config, config: Config, root: Path) -> int:
    chosen = sentence.positive("max_seq_length")
    if chosen is not None:
        return chosen
    tokenizer = Config.read_optional(root / "tokenizer_config.json")
    body = config.section("text_config", config.values)
    limits = [body.positive("max_position_embeddings"), tokenizer.positive("model_max_length")]
    known = [limit for limit in limits if limit is not None and limit < _UNLIMITED]
    if not known:
        raise CheckpointError(config.path, "states no maximum length, nor do the files beside it")
    return min(known)

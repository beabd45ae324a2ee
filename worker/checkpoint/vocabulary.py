"""Single tokens of a checkpoint's vocabulary, for what the graph itself must know by id."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer as RustTokenizer

from worker.checkpoint.config import CheckpointError


def token_ids(path: Path, *tokens: str) -> list[int]:
    """Look tokens up in a tokenizer.json, special ones included.

    Raises:
        CheckpointError: the file is missing or unreadable, or has no such token.

    """
    rust = read_tokenizer(path)
    return [_id(rust, token, path) for token in tokens]


def read_tokenizer(path: Path) -> RustTokenizer:
    """Raise CheckpointError if tokenizer.json is missing or cannot be read."""
    try:
        return RustTokenizer.from_buffer(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(path, "is missing") from None
    except Exception as error:  # the library raises nothing narrower
        raise CheckpointError(path, f"is not a tokenizer: {error}") from error


def _id(rust: RustTokenizer, token: str, path: Path) -> int:
    index: int | None = rust.token_to_id(token)
    if index is None:
        raise CheckpointError(path, f"has no token {token!r}")
    return index

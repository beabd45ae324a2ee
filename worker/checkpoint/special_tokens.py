"""Which tokens a checkpoint's tokenizer_config.json names for a purpose."""

from __future__ import annotations

from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import Config


def special_tokens(checkpoint: Checkpoint) -> dict[str, str]:
    """Return tokens by purpose, such as `mask_token`; those that are not named are absent."""
    entries: dict[str, object] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        entries |= Config.read_optional(checkpoint.directory / name).values
    found = {name: _content(entry) for name, entry in entries.items() if name.endswith("_token")}
    return {name: token for name, token in found.items() if token}


def _content(entry: object) -> str:
    """Read either spelling: the token, or an object that says how it is matched in a text."""
    token = entry.get("content") if isinstance(entry, dict) else entry
    return token if isinstance(token, str) else ""

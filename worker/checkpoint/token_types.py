"""How many types of tokens a model tells apart: the first and the second text of a pair."""

from __future__ import annotations

from worker.checkpoint.config import Config

# What `transformers` assumes where config.json is silent; other families have none.
_DEFAULTS = {"bert": 2, "roberta": 2, "xlm-roberta": 2, "nomic_bert": 2, "gte": 1, "new": 1}


def type_count(config: Config) -> int:
    """Read `type_vocab_size`, or its default by `model_type`; 0 where there are no types."""
    default = _DEFAULTS.get(config.text("model_type", default=""), 0)
    return int(config.number("type_vocab_size", default=default))

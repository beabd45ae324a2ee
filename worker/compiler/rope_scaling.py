"""How rotary positions are stretched to texts longer than a model was trained on.

    default     as they are
    linear      every frequency divided by the factor
    dynamic     stretched for texts beyond max_position_embeddings only, which are not taken
    yarn        high frequencies as they are, low ones divided, a ramp between them; cosines and
                sines grow with the logarithm of the factor (Peng et al., 2023)

Names and defaults are those of `rope_parameters` in `transformers`; releases before 5 have
`rope_theta` beside `rope_scaling`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.checkpoint.config import CheckpointError, Config
from worker.compiler.rotary import frequencies

_DEFAULT_THETA = 10_000.0


class Turns(NamedTuple):
    """How far each pair of components turns from one place to the next.

    Attributes:
        frequencies: radians, (head size / 2,).
        scale: what cosines and sines are multiplied by.

    """

    frequencies: NDArray[np.float64]
    scale: float = 1.0


def turns_of(config: Config, head_size: int, max_length: int) -> Turns:
    """Read a decoder's rotary positions.

    Args:
        config: config.json.
        head_size: components of a head.
        max_length: tokens of the longest text.

    Raises:
        CheckpointError: the kind of scaling is not supported, or an entry of it is missing.

    """
    entry = config.below("rope_parameters", config.below("rope_scaling").values)
    theta = entry.number("rope_theta", default=config.number("rope_theta", default=_DEFAULT_THETA))
    if entry.number("partial_rotary_factor", default=1.0) != 1.0:
        raise CheckpointError(config.path, "partial_rotary_factor is not supported")
    plain = frequencies(head_size, theta)
    match kind := entry.text("rope_type", "type", default="default"):
        case "default":
            return Turns(plain)
        case "linear":
            return Turns(plain / _factor(entry))
        case "dynamic":
            _require_unstretched(config, max_length)
            return Turns(plain)
        case "yarn":
            return _yarn(config, entry, plain, theta)
        case _:
            raise CheckpointError(config.path, f"rope_type {kind} is not supported")


def _yarn(config: Config, entry: Config, plain: NDArray[np.float64], theta: float) -> Turns:
    longest = config.number("max_position_embeddings", default=0.0)
    trained = entry.number("original_max_position_embeddings", default=longest)
    if trained <= 0:
        raise CheckpointError(config.path, "has no original_max_position_embeddings")
    factor = entry.number("factor", default=longest / trained)
    half, size = len(plain), 2 * len(plain)

    def component_of(rotations: float) -> float:
        """Return which component turns that often in a text as long as in training."""
        return size * math.log(trained / (rotations * 2 * math.pi)) / (2 * math.log(theta))

    first = component_of(entry.number("beta_fast", default=32.0) or 32.0)
    last = component_of(entry.number("beta_slow", default=1.0) or 1.0)
    if entry.flag("truncate", default=True):
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, size - 1)
    width = last - first or 1e-3
    divided = np.clip((np.arange(half) - first) / width, 0, 1)
    return Turns(plain / factor * divided + plain * (1 - divided), _attention_factor(entry, factor))


def _attention_factor(entry: Config, factor: float) -> float:
    def growth(weight: float) -> float:
        return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0

    weight = entry.number("mscale", default=0.0)
    weight_of_all = entry.number("mscale_all_dim", default=0.0)
    weighted = growth(weight) / growth(weight_of_all) if weight and weight_of_all else growth(1.0)
    return entry.number("attention_factor", default=weighted)


def _factor(entry: Config) -> float:
    factor = entry.number("factor", default=0.0)
    if factor <= 0:
        raise CheckpointError(entry.path, "the factor of a scaled rope is missing")
    return factor


def _require_unstretched(config: Config, max_length: int) -> None:
    longest = config.integer("max_position_embeddings")
    if max_length > longest:
        # There the published code's frequencies depend on the longest text of a batch.
        raise CheckpointError(
            config.path, f"rope_type dynamic beyond {longest} tokens is not supported"
        )

"""The convolution beside the first layer of the largest DeBERTa-v2 models.

h = norm(layer(x) + activation(convolution(x))), over the tokens of x, padding being zero.
"""

from __future__ import annotations

import numpy as np

from worker.checkpoint.config import CheckpointError, Config
from worker.compiler.blocks import activate, checked_activation, normalized
from worker.compiler.parameters import Parameters
from worker.compiler.pooling import is_token


def convolves(config: Config) -> bool:
    """Return whether a model has one."""
    return config.number("conv_kernel_size", default=0) > 0


def convolved(
    own: Parameters, config: Config, states: tuple[str, str], lengths: str, epsilon: float
) -> str:
    """Add the convolution.

    Args:
        own: the encoder's tensors.
        config: config.json.
        states: what the first layer reads, and what it gives, (rows, tokens, size).
        lengths: (rows,) int32.
        epsilon: of the norm.

    Raises:
        CheckpointError: the kernel is of an even width, or the activation is not supported.

    """
    graph, (before, after) = own.graph, states
    size, width = config.integer("hidden_size"), config.integer("conv_kernel_size")
    groups = config.positive("conv_groups") or 1
    if width % 2 == 0:
        raise CheckpointError(config.path, f"conv_kernel_size {width} is not supported")
    conv = own.below("conv.conv")
    kernel = conv.vectors("weight", size, size // groups, width)
    real = graph.node("Unsqueeze", is_token(graph, before, lengths), graph.integers(2))
    zero = graph.constant("float/zero", np.array(0, dtype=np.float32))
    shown = graph.node("Transpose", graph.node("Where", real, before, zero), perm=[0, 2, 1])
    values = graph.node(
        "Conv",
        *(shown, kernel, conv.vectors("bias", size)),
        group=groups,
        kernel_shape=[width],
        pads=[width // 2, width // 2],
    )
    values = graph.node("Transpose", values, perm=[0, 2, 1])
    values = activate(graph, values, checked_activation(config, "conv_act", default="tanh"))
    norm = own.layer_norm("conv.LayerNorm", size, epsilon)
    return normalized(graph, graph.node("Add", after, values), norm)

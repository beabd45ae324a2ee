"""Attention over queries, keys and values that were computed apart.

Values are (rows, tokens, heads * head_dim) float32, right-padded. `blocks.self_attention` does
the product too where nothing comes between it and the attention.
"""

from __future__ import annotations

import numpy as np

from worker.compiler.graph import CONTRIB, Graph
from worker.compiler.pooling import places

# Far below any score, yet finite: a row of infinities would softmax to NaN.
_HIDDEN = np.float32(-1e30)


def attended(
    graph: Graph,
    qkv: tuple[str, str, str],
    heads: int,
    *,
    lengths: str = "",
    bias: str = "",
    causal: bool = False,
    scale: float | None = None,
) -> str:
    """Return softmax(q @ k^T * scale + bias) @ v, (rows, tokens, heads * head_dim).

    `bias` is (rows or 1, heads or 1, tokens, tokens); `lengths` hides the padding, without it
    every token of a row is seen; `scale` is 1 / sqrt(head_dim) by default.
    """
    attributes = {} if scale is None else {"scale": scale}
    return graph.node(
        "MultiHeadAttention",
        *(*qkv, "", lengths, bias),
        domain=CONTRIB,
        num_heads=heads,
        unidirectional=int(causal),
        **attributes,
    )


def repeated_heads(graph: Graph, vectors: str, heads: int, head_dim: int, times: int) -> str:
    """Repeat each head in place: (rows, tokens, heads * head_dim) to `times` as wide.

    GroupQueryAttention would spare the copies, but refuses heads whose size is no multiple of 8.
    With 16 heads of 128 over 8 on 2 cores it took 46 ms for a lone row of 512 tokens, this and
    MultiHeadAttention 76 ms; for 8 rows of 32 tokens it took 12 ms against 6.
    """
    if times == 1:
        return vectors
    apart = graph.node("Reshape", vectors, graph.integers(0, 0, heads, 1, head_dim))
    copies = graph.node("Expand", apart, graph.integers(1, 1, 1, times, 1))
    return graph.node("Reshape", copies, graph.integers(0, 0, heads * times * head_dim))


def window_bias(graph: Graph, hidden: str, width: int) -> str:
    """Return (1, 1, tokens, tokens): 0 where a token sees another, far below where not.

    A token sees itself and the width - 1 tokens before it; what comes after is not hidden here.
    """
    numbers = places(graph, hidden)
    rows, columns = (graph.node("Unsqueeze", numbers, graph.integers(axis)) for axis in (1, 0))
    far = graph.node("GreaterOrEqual", graph.node("Sub", rows, columns), graph.integers(width))
    hidden_score = graph.constant("float/hidden", np.array(_HIDDEN))
    seen_score = graph.constant("float/zero", np.array(0, dtype=np.float32))
    bias = graph.node("Where", far, hidden_score, seen_score)
    return graph.node("Unsqueeze", bias, graph.integers(0, 1))

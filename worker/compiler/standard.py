"""The fused operators in terms of the ONNX standard, for engines that know nothing else.

Families and heads are written once, with ONNX Runtime's fused operators. In a graph of the
standard dialect each of those nodes is replaced, as it is added, by the plain nodes that its
documentation (docs/ContribOperators.md of ONNX Runtime) defines it by. TensorRT and OpenVINO
find and fuse the patterns again on their own terms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from worker.compiler.graph import Graph
from worker.compiler.pooling import is_token, places

# Finite in float16 too, where a row of infinities would softmax to NaN.
_HIDDEN = -1e4
_TANH_SCALE = math.sqrt(2 / math.pi)
_TANH_CUBE = 0.044715


def lowered(
    graph: Graph, operator: str, inputs: Sequence[str], attributes: Mapping[str, Any]
) -> list[str]:
    """Add the plain nodes of a fused operator and return its outputs, "" for those unused."""
    return _LOWERINGS[operator](graph, [*inputs, *[""] * 9], attributes)


def _attention(graph: Graph, given: Sequence[str], attributes: Mapping[str, Any]) -> list[str]:
    hidden, weight, bias, lengths, _, scores = given[:6]
    product = graph.node("MatMul", hidden, weight)
    qkv = graph.node("Add", product, bias) if bias else product
    return _attended(graph, graph.nodes("Split", [qkv], 3, axis=-1), lengths, scores, attributes)


def _multi_head(graph: Graph, given: Sequence[str], attributes: Mapping[str, Any]) -> list[str]:
    return _attended(graph, given[:3], given[4], given[5], attributes)


def _attended(
    graph: Graph, qkv: Sequence[str], lengths: str, bias: str, attributes: Mapping[str, Any]
) -> list[str]:
    """Return softmax(q @ k^T * scale + biases) @ v, (rows, tokens, heads * head_dim)."""
    heads = attributes["num_heads"]
    query, key, value = (
        _apart(graph, each, heads, perm)
        for each, perm in zip(qkv, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True)
    )
    scores = graph.node("MatMul", _scaled(graph, query, attributes), key)
    biases = [bias] if bias else []
    if lengths:
        biases.append(graph.once(f"padding/{lengths}", lambda: _padding(graph, qkv[0], lengths)))
    if attributes.get("unidirectional"):
        biases.append(graph.once("causal", lambda: _causal(graph, qkv[0])))
    for each in biases:
        scores = graph.node("Add", scores, each)
    context = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), value)
    joined = graph.node("Transpose", context, perm=[0, 2, 1, 3])
    return [graph.node("Reshape", joined, graph.integers(0, 0, -1))]


def _scaled(graph: Graph, query: str, attributes: Mapping[str, Any]) -> str:
    """Scale the queries, (rows, heads, tokens, head_dim); by 1 / sqrt(head_dim) unless told."""
    if "scale" in attributes:
        return graph.node("Mul", query, _float(graph, attributes["scale"]))

    def root() -> str:
        size = graph.node("Gather", graph.node("Shape", query), graph.integers(3))
        return graph.node("Sqrt", graph.node("Cast", size, to=1))

    return graph.node("Div", query, graph.once("root of head size", root))


def _apart(graph: Graph, values: str, heads: int, perm: list[int]) -> str:
    """(rows, tokens, heads * head_dim) to four axes, transposed."""
    return graph.node(
        "Transpose", graph.node("Reshape", values, graph.integers(0, 0, heads, -1)), perm=perm
    )


def _padding(graph: Graph, hidden: str, lengths: str) -> str:
    """Return (rows, 1, 1, tokens): 0 for a token, far below for padding."""
    return graph.node(
        "Unsqueeze", _hiding(graph, is_token(graph, hidden, lengths)), graph.integers(1, 2)
    )


def _causal(graph: Graph, hidden: str) -> str:
    """Return (tokens, tokens): 0 up to the token itself, far below for what follows."""
    numbers = places(graph, hidden)
    queries = graph.node("Unsqueeze", numbers, graph.integers(1))
    return _hiding(graph, graph.node("LessOrEqual", numbers, queries))


def _hiding(graph: Graph, seen: str) -> str:
    return graph.node("Where", seen, _float(graph, 0.0), _float(graph, _HIDDEN))


def _embeddings(graph: Graph, given: Sequence[str], attributes: Mapping[str, Any]) -> list[str]:
    ids, types, words, positions, type_table, scale, bias, _, numbered = given[:9]
    total = graph.node("Gather", words, ids)
    chosen = graph.node("Gather", positions, numbered or places(graph, ids))
    total = graph.node("Add", total, chosen)
    if type_table:
        total = graph.node("Add", total, graph.node("Gather", type_table, types))
    return [_layer_norm(graph, total, scale, bias, attributes), ""]


def _skip_norm(graph: Graph, given: Sequence[str], attributes: Mapping[str, Any]) -> list[str]:
    values, residual, scale, bias, linear_bias = given[:5]
    if linear_bias:
        values = graph.node("Add", values, linear_bias)
    total = graph.node("Add", values, residual)
    return [_layer_norm(graph, total, scale, bias, attributes), "", "", total]


def _layer_norm(
    graph: Graph, values: str, scale: str, bias: str, attributes: Mapping[str, Any]
) -> str:
    epsilon = attributes["epsilon"]
    return graph.node("LayerNormalization", values, scale, bias, axis=-1, epsilon=epsilon)


def _skip_rms_norm(graph: Graph, given: Sequence[str], attributes: Mapping[str, Any]) -> list[str]:
    values, residual, scale = given[:3]
    total = graph.node("Add", values, residual)
    mean = graph.node(
        "ReduceMean", graph.node("Pow", total, _float(graph, 2.0)), axes=[-1], keepdims=1
    )
    root = graph.node("Sqrt", graph.node("Add", mean, _float(graph, attributes["epsilon"])))
    return [graph.node("Mul", graph.node("Div", total, root), scale), "", "", total]


def _gelu(graph: Graph, given: Sequence[str], _: Mapping[str, Any]) -> list[str]:
    """Return x / 2 * (1 + erf(x / sqrt(2)))."""
    values = _biased(graph, given)
    error = graph.node("Erf", graph.node("Div", values, _float(graph, math.sqrt(2))))
    return [_half_of_sum(graph, values, error)]


def _fast_gelu(graph: Graph, given: Sequence[str], _: Mapping[str, Any]) -> list[str]:
    """Return x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))."""
    values = _biased(graph, given)
    cube = graph.node("Pow", values, _float(graph, 3.0))
    inner = graph.node("Add", values, graph.node("Mul", cube, _float(graph, _TANH_CUBE)))
    curve = graph.node("Tanh", graph.node("Mul", inner, _float(graph, _TANH_SCALE)))
    return [_half_of_sum(graph, values, curve)]


def _half_of_sum(graph: Graph, values: str, curve: str) -> str:
    sum_ = graph.node("Mul", values, graph.node("Add", curve, _float(graph, 1.0)))
    return graph.node("Mul", sum_, _float(graph, 0.5))


def _quick_gelu(graph: Graph, given: Sequence[str], attributes: Mapping[str, Any]) -> list[str]:
    scaled = graph.node("Mul", given[0], _float(graph, attributes["alpha"]))
    return [graph.node("Mul", given[0], graph.node("Sigmoid", scaled))]


def _biased(graph: Graph, given: Sequence[str]) -> str:
    return graph.node("Add", given[0], given[1]) if given[1] else given[0]


def _rotary(graph: Graph, given: Sequence[str], attributes: Mapping[str, Any]) -> list[str]:
    """Turn (first half, second half) of each head to (a cos - b sin, b cos + a sin)."""
    values, first, cosines, sines = given[:4]
    apart = graph.node("Reshape", values, graph.integers(0, 0, attributes["num_heads"], -1))
    one, other = graph.nodes("Split", [apart], 2, axis=-1)
    cosine, sine = (_turns(graph, values, table, first) for table in (cosines, sines))
    left = graph.node("Sub", graph.node("Mul", one, cosine), graph.node("Mul", other, sine))
    right = graph.node("Add", graph.node("Mul", other, cosine), graph.node("Mul", one, sine))
    turned = graph.node("Concat", left, right, axis=-1)
    return [graph.node("Reshape", turned, graph.integers(0, 0, -1))]


def _turns(graph: Graph, values: str, table: str, first: str) -> str:
    """Return the rows of a table for the places of a row, (tokens, 1, head_dim / 2)."""

    def rows() -> str:
        numbers = graph.node("Add", places(graph, values), first)
        return graph.node("Unsqueeze", graph.node("Gather", table, numbers), graph.integers(1))

    return graph.once(f"turns/{table}", rows)


def _float(graph: Graph, value: float) -> str:
    return graph.constant(f"float/{value!r}", np.array(value, dtype=np.float32))


_LOWERINGS: dict[str, Callable[[Graph, Sequence[str], Mapping[str, Any]], list[str]]] = {
    "Attention": _attention,
    "BiasGelu": _gelu,
    "EmbedLayerNormalization": _embeddings,
    "FastGelu": _fast_gelu,
    "Gelu": _gelu,
    "MultiHeadAttention": _multi_head,
    "QuickGelu": _quick_gelu,
    "RotaryEmbedding": _rotary,
    "SkipLayerNormalization": _skip_norm,
    "SkipSimplifiedLayerNormalization": _skip_rms_norm,
}

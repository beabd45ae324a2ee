"""SigLIP (Zhai et al., 2023), as `transformers.SiglipModel` lays it out.

    text     words + positions, layers, final norm, the last place of a row, a linear head
    image    patches + positions, layers, post norm, attention pooling

Texts are always as long as the longest input, padded with the padding token and without a mask:
that is how the model was trained, so the graph pads, and nobody else needs to know. Attention
pooling is one learned query over all patches (MAP head: Lee et al., 2019).
"""

from __future__ import annotations

import numpy as np

from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError
from worker.checkpoint.special_tokens import special_tokens
from worker.checkpoint.vocabulary import token_ids
from worker.compiler.attention import attended
from worker.compiler.blocks import linear, normalized
from worker.compiler.body import Hidden, Tokens
from worker.compiler.graph import Graph
from worker.compiler.parameters import Linear, Parameters
from worker.compiler.pooling import is_token
from worker.compiler.towers import Tower, mlp, patches, pre_norm_encoder, text_embeddings

# What `transformers` assumes where a configuration says nothing.
_SHARED = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}
_TEXT = _SHARED | {"vocab_size": 32000, "max_position_embeddings": 64}
_VISION = _SHARED | {"image_size": 224, "patch_size": 16}


def siglip_text(root: Parameters, checkpoint: Checkpoint, tokens: Tokens) -> Hidden:
    """Add the text tower; its states are the vectors of the texts, (rows, size)."""
    graph, config = root.graph, checkpoint.config.below("text_config", _TEXT)
    tower, own = Tower.read(config), root.below("text_model")
    ids = _padded(graph, checkpoint, tokens)
    hidden = text_embeddings(own.below("embeddings"), config, tokens, ids)
    hidden = pre_norm_encoder(own, tower, hidden)
    place = graph.constant("int64/last", np.array(tokens.max_length - 1, dtype=np.int64))
    norm = own.layer_norm("final_layer_norm", tower.size, tower.epsilon)
    last = normalized(graph, graph.node("Gather", hidden, place, axis=1), norm)
    size = config.positive("projection_size") or tower.size
    return Hidden(linear(graph, last, own.linear("head", tower.size, size)), size)


def siglip_image(root: Parameters, checkpoint: Checkpoint) -> Hidden:
    """Add the image tower; its states are the vectors of the images, (rows, size)."""
    graph, config = root.graph, checkpoint.config.below("vision_config", _VISION)
    if not config.flag("vision_use_head", default=True):
        raise CheckpointError(config.path, "vision_use_head false is not supported")
    tower, own = Tower.read(config), root.below("vision_model")
    embeddings = own.below("embeddings")
    hidden, count = patches(embeddings, config, bias=True)
    positions = embeddings.vectors("position_embedding.weight", count, tower.size)
    hidden = pre_norm_encoder(own, tower, graph.node("Add", hidden, positions))
    norm = own.layer_norm("post_layernorm", tower.size, tower.epsilon)
    pooled = _attention_pooled(own.below("head"), tower, normalized(graph, hidden, norm))
    return Hidden(pooled, tower.size)


def _padded(graph: Graph, checkpoint: Checkpoint, tokens: Tokens) -> str:
    """Return ids (rows, max_length) int32 with the padding token behind each text."""
    path, named = checkpoint.tokenizer_path, special_tokens(checkpoint)
    if "pad_token" not in named:
        raise CheckpointError(path, "no file beside it names a pad_token")
    (pad_id,) = token_ids(path, named["pad_token"])
    pad = graph.constant("int32/padding", np.array(pad_id, dtype=np.int32))
    real = graph.node("Where", is_token(graph, tokens.ids, tokens.lengths), tokens.ids, pad)
    given = graph.node("Shape", tokens.ids, start=1, end=2)
    missing = graph.node("Sub", graph.integers(tokens.max_length), given)
    ends = graph.node("Concat", graph.integers(0, 0, 0), missing, axis=0)
    return graph.node("Pad", real, ends, pad)


def _attention_pooled(own: Parameters, tower: Tower, hidden: str) -> str:
    """Reduce (rows, patches, size) to (rows, size); the query is the same for every image."""
    graph, size = own.graph, tower.size
    queries, keys_values = _queries_and_weights(own, size)
    rows = graph.node("Shape", hidden, start=0, end=1)
    repeat = graph.node("Concat", rows, graph.integers(1, 1), axis=0)
    product = linear(graph, hidden, keys_values)
    keys, values = graph.nodes("Split", [product, graph.integers(size, size)], 2, axis=-1)
    qkv = (graph.node("Expand", queries, repeat), keys, values)
    context = attended(graph, qkv, tower.heads)
    pooled = linear(graph, context, own.linear("attention.out_proj", size, size))
    second = normalized(graph, pooled, own.layer_norm("layernorm", size, tower.epsilon))
    total = graph.node("Add", pooled, mlp(own.below("mlp"), tower, second))
    return graph.node("Squeeze", total, graph.integers(1))


def _queries_and_weights(own: Parameters, size: int) -> tuple[str, Linear]:
    """Return the projected probe (1, 1, size), and keys and values as one linear layer."""
    attention = own.below("attention")
    weight = attention.read("in_proj_weight", 3 * size, size)
    bias = attention.read("in_proj_bias", 3 * size)
    probe = own.read("probe", 1, 1, size)
    queries = own.add("queries", probe @ weight[:size].T + bias[:size])
    keys_values = attention.layer(
        "keys_values",
        np.ascontiguousarray(weight[size:].T),
        attention.add("keys_values.bias", bias[size:]),
    )
    return queries, keys_values

"""BERT (Devlin et al., 2018), as `transformers.BertModel` lays it out.

    embeddings = norm(word[id] + position[place] + type[0])
    each layer:  h = norm(h + attention(h)),  h = norm(h + feed_forward(h))

Token types are always 0: the texts of an embedding model are single segments.
"""

from __future__ import annotations

from worker.checkpoint import Checkpoint, CheckpointError
from worker.compiler.blocks import ACTIVATIONS, activated, embed, projected, self_attention
from worker.compiler.graph import Graph
from worker.compiler.parameters import Parameters
from worker.weights import Weights

_QKV = ("query", "key", "value")


def bert(
    graph: Graph, weights: Weights, checkpoint: Checkpoint, input_ids: str, lengths: str
) -> str:
    """Add the encoder and return its last hidden state, (rows, tokens, hidden_size) float32."""
    _reject_variants(checkpoint)
    parameters = Parameters(graph, weights, _prefix(weights))
    hidden = _embeddings(graph, parameters.below("embeddings"), checkpoint, input_ids)
    for layer in range(checkpoint.config.integer("num_hidden_layers")):
        hidden = _layer(
            graph, parameters.below(f"encoder.layer.{layer}"), checkpoint, hidden, lengths
        )
    return hidden


def _embeddings(graph: Graph, own: Parameters, checkpoint: Checkpoint, input_ids: str) -> str:
    config = checkpoint.config
    size, places = config.integer("hidden_size"), config.integer("max_position_embeddings")
    if checkpoint.max_length > places:
        raise CheckpointError(
            config.path, f"has {places} positions, too few for inputs of {checkpoint.max_length}"
        )
    words = own.read("word_embeddings.weight", config.integer("vocab_size"), size)
    positions = own.read("position_embeddings.weight", places, size)
    types = own.read("token_type_embeddings.weight", config.integer("type_vocab_size"), size)
    return embed(
        graph,
        input_ids,
        own.add("word_embeddings.weight", words),
        own.add("position_and_type_embeddings.weight", positions + types[0]),
        own.layer_norm("LayerNorm", size, _epsilon(checkpoint)),
    )


def _layer(graph: Graph, own: Parameters, checkpoint: Checkpoint, hidden: str, lengths: str) -> str:
    config = checkpoint.config
    size, inner = config.integer("hidden_size"), config.integer("intermediate_size")
    heads, epsilon = config.integer("num_attention_heads"), _epsilon(checkpoint)

    qkv = own.below("attention.self").merged("qkv", _QKV, size, size)
    context = self_attention(graph, hidden, qkv, heads, lengths)
    out = own.linear("attention.output.dense", size, size)
    norm = own.layer_norm("attention.output.LayerNorm", size, epsilon)
    hidden = projected(graph, context, out, hidden, norm)

    widen = own.linear("intermediate.dense", size, inner)
    wide = activated(graph, hidden, widen, config.text("hidden_act", "gelu"))
    narrow = own.linear("output.dense", inner, size)
    norm = own.layer_norm("output.LayerNorm", size, epsilon)
    return projected(graph, wide, narrow, hidden, norm)


def _epsilon(checkpoint: Checkpoint) -> float:
    return checkpoint.config.number("layer_norm_eps", 1e-12)


def _prefix(weights: Weights) -> str:
    """Checkpoints saved with a head keep the encoder below `bert.`."""
    return "bert." if "bert.embeddings.word_embeddings.weight" in weights else ""


def _reject_variants(checkpoint: Checkpoint) -> None:
    config = checkpoint.config
    if config.text("position_embedding_type", "absolute") != "absolute":
        raise CheckpointError(config.path, "only absolute position embeddings are supported")
    if config.values.get("is_decoder") is True:
        raise CheckpointError(config.path, "is a decoder, which is not supported")
    activation = config.text("hidden_act", "gelu")
    if activation not in ACTIVATIONS:
        raise CheckpointError(config.path, f"hidden_act {activation} is not supported")
    if config.integer("hidden_size") % config.integer("num_attention_heads"):
        raise CheckpointError(config.path, "hidden_size is not a multiple of num_attention_heads")

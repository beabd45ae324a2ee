"""CLIP (Radford et al., 2021), as `transformers.CLIPModel` lays it out.

    text     words + positions, causal layers, final norm, the token at the end of the text
    image    patches behind a class token + positions, pre norm, layers, norm of the class token

Each is projected, without a bias, into the space that both share; the vectors are not scaled to
unit length unless the checkpoint has a Normalize module.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import Config
from worker.compiler.blocks import linear, normalized
from worker.compiler.body import Hidden, Tokens
from worker.compiler.graph import Graph
from worker.compiler.parameters import Parameters
from worker.compiler.pooling import is_token
from worker.compiler.towers import Tower, patches, pre_norm_encoder, text_embeddings

# Published configurations name the end of text 2, which is a letter in their vocabulary.
_WRONG_END = 2
# What `transformers` assumes where a configuration says nothing.
_PROJECTION = 512
_TEXT = {
    "vocab_size": 49408,
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "eos_token_id": 49407,
}
_VISION = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 32,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}


def clip_text(root: Parameters, checkpoint: Checkpoint, tokens: Tokens) -> Hidden:
    """Add the text tower; its states are the projected vectors of the texts, (rows, size)."""
    graph, config = root.graph, checkpoint.config.below("text_config", _TEXT)
    tower, own = Tower.read(config), root.below("text_model")
    hidden = text_embeddings(own.below("embeddings"), config, tokens, tokens.ids)
    hidden = pre_norm_encoder(own, tower, hidden, causal=True)
    place = graph.node("Unsqueeze", _end_of_text(graph, config, tokens), graph.integers(1))
    end = graph.node("GatherND", hidden, place, batch_dims=1)
    norm = own.layer_norm("final_layer_norm", tower.size, tower.epsilon)
    vectors = normalized(graph, end, norm)
    return _projected(root, checkpoint.config, "text_projection", Hidden(vectors, tower.size))


def clip_image(root: Parameters, checkpoint: Checkpoint) -> Hidden:
    """Add the image tower; its states are the projected vectors of the images, (rows, size)."""
    graph, config = root.graph, checkpoint.config.below("vision_config", _VISION)
    tower, own = Tower.read(config), root.below("vision_model")
    hidden = _image_embeddings(own.below("embeddings"), config, tower)
    # The misspelling is the published one.
    hidden = normalized(graph, hidden, own.layer_norm("pre_layrnorm", tower.size, tower.epsilon))
    hidden = pre_norm_encoder(own, tower, hidden)
    zero = graph.constant("int64/first", np.array(0, dtype=np.int64))
    norm = own.layer_norm("post_layernorm", tower.size, tower.epsilon)
    vectors = normalized(graph, graph.node("Gather", hidden, zero, axis=1), norm)
    return _projected(root, checkpoint.config, "visual_projection", Hidden(vectors, tower.size))


def _image_embeddings(own: Parameters, config: Config, tower: Tower) -> str:
    graph, size = own.graph, tower.size
    hidden, count = patches(own, config, bias=False)
    positions = own.read("position_embedding.weight", count + 1, size)
    first = (own.read("class_embedding", size) + positions[0]).reshape(1, 1, size)
    rows = graph.node("Shape", hidden, start=0, end=1)
    repeat = graph.node("Concat", rows, graph.integers(1, 1), axis=0)
    classes = graph.node("Expand", own.add("class_embedding", first), repeat)
    placed = graph.node("Add", hidden, own.add("position_embedding.weight", positions[1:]))
    return graph.node("Concat", classes, placed, axis=1)


def _end_of_text(graph: Graph, config: Config, tokens: Tokens) -> str:
    """Return the place of the token that stands for the text, (rows,) int64.

    It is the first end of text, which a text can contain literally; with the wrong id in the
    configuration it is the first of the highest id, as `transformers` reads those.
    """
    end, scores = config.integer("eos_token_id"), tokens.ids
    if end != _WRONG_END:
        wanted = graph.constant("int32/end_of_text", np.array(end, dtype=np.int32))
        scores = graph.node("Cast", graph.node("Equal", tokens.ids, wanted), to=TensorProto.INT32)
    nothing = graph.constant("int32/nothing", np.array(-1, dtype=np.int32))
    real = graph.node("Where", is_token(graph, tokens.ids, tokens.lengths), scores, nothing)
    return graph.node("ArgMax", real, axis=1, keepdims=0)


def _projected(root: Parameters, config: Config, name: str, vectors: Hidden) -> Hidden:
    size = config.positive("projection_dim") or _PROJECTION
    layer = root.linear(name, vectors.size, size)
    return Hidden(linear(root.graph, vectors.states, layer), size)

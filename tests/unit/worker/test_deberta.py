"""DeBERTa's attention by distance, beyond what the golden checkpoints show."""

import math
from pathlib import Path

import numpy as np
import pytest

from tests.unit.worker.graphs import GOLDEN, close, compiled, edit, golden_ids, reference, run
from worker.checkpoint.config import CheckpointError, Config
from worker.compiler.deberta import _bucket, _Scores
from worker.compiler.postnorm import Sizes

CONVOLVED = "deberta_v2_conv"


def scores(buckets, max_distance, *, logarithmic=True):
    return _Scores(frozenset(), 0.25, 16, True, buckets, logarithmic, max_distance)


def test_near_distances_are_their_own_bucket_and_far_ones_share():
    def published(distance, middle=128, longest=512):
        if abs(distance) <= middle:
            return distance
        share = math.log(abs(distance) / middle) / math.log((longest - 1) / middle)
        return int(math.copysign(math.ceil(share * (middle - 1)) + middle, distance))

    distances = np.arange(-510, 511)
    expected = [published(int(distance)) for distance in distances]
    np.testing.assert_array_equal(_bucket(distances, scores(256, 512)), expected)
    assert _bucket(np.array([511, -511]), scores(256, 512)).tolist() == [255, -255]


def test_without_buckets_a_distance_is_itself():
    distances = np.arange(-700, 700)
    flat = scores(512, 512, logarithmic=False)
    np.testing.assert_array_equal(_bucket(distances, flat), distances)


def test_projections_of_positions_may_be_their_own(tmp_path, checkpoint_copy):
    from safetensors.numpy import load_file, save_file

    directory = checkpoint_copy("deberta_v3")
    tensors = load_file(directory / "model.safetensors")
    for name in [name for name in tensors if "key_proj" in name or "query_proj" in name]:
        tensors[name.replace("self.", "self.pos_")] = tensors[name]
    save_file(tensors, directory / "model.safetensors")
    edit(directory / "config.json", share_att_key=False)
    engine = compiled(directory, tmp_path / "compiled")
    close(run(engine, golden_ids("deberta_v3"), "dense"), reference("deberta_v3")["embeddings"])


@pytest.mark.parametrize("in_force", [True, False])
def test_scores_are_divided_for_each_term_that_is_named(in_force):
    named = {"pos_att_type": "c2p|p2c", "relative_attention": in_force}
    sizes = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1}
    rest = {"intermediate_size": 8, "max_position_embeddings": 64}
    config = Config(Path(), {**named, **sizes, **rest})
    read = _Scores.read(config, Sizes.read(config))
    assert read.scale == pytest.approx((16 * 3) ** -0.5)
    assert bool(read.terms) is in_force


@pytest.mark.parametrize("terms", ["c2p", ["p2c"], "", None])
def test_padding_does_not_matter_whatever_the_scores(tmp_path, checkpoint_copy, terms):
    directory = checkpoint_copy("deberta_v3")
    edit(directory / "config.json", pos_att_type=terms)
    engine, ids = compiled(directory, tmp_path / "compiled"), golden_ids("deberta_v3")[:6]
    together = run(engine, ids, "dense")
    for row, expected in zip(ids, together, strict=True):
        close(run(engine, [row], "dense")[0], expected, 1e-5)


def test_what_stands_beside_a_text_is_not_seen_by_its_convolution(tmp_path):
    engine = compiled(GOLDEN / CONVOLVED, tmp_path / "compiled", hidden_states=True)
    ids = golden_ids(CONVOLVED)
    together = run(engine, ids, "last_hidden_state")
    for row, expected in zip(ids, together, strict=True):
        close(run(engine, [row], "last_hidden_state")[0], expected[: len(row)], 1e-5)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"conv_kernel_size": 4}, "conv_kernel_size 4 is not supported"),
        ({"pos_att_type": "c2p|p2p"}, "pos_att_type"),
        ({"embedding_size": 24}, "embedding_size other than hidden_size"),
        ({"hidden_act": "swish"}, "hidden_act swish is not supported"),
        ({"position_biased_input": True}, r"has no tensor embeddings\.position_embeddings"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(tmp_path, checkpoint_copy, values, problem):
    directory = checkpoint_copy("deberta_v3")
    edit(directory / "config.json", **values)
    with pytest.raises(CheckpointError, match=problem):
        compiled(directory, tmp_path / "compiled")

"""Stretched rotary positions, against what `transformers` 5.23 computes."""

from pathlib import Path

import numpy as np
import pytest

from worker.checkpoint.config import CheckpointError, Config
from worker.compiler.rope_scaling import turns_of

YARN = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 64}
SEEN = [1.0, 0.05625, 0.00125, 0.000125]


def turns(head_size, longest, max_length=64, **entries):
    config = Config(Path(), {"max_position_embeddings": longest, **entries})
    return turns_of(config, head_size, max_length)


@pytest.mark.parametrize(
    ("head_size", "longest", "parameters", "frequencies", "scale"),
    [
        (8, 128, {"rope_type": "linear", "factor": 4.0}, [0.25, 0.025, 0.0025, 0.00025], 1.0),
        (8, 128, {"rope_type": "dynamic", "factor": 4.0}, [1.0, 0.1, 0.01, 0.001], 1.0),
        (
            16,
            4096,
            {**YARN, "factor": 4.0, "original_max_position_embeddings": 1024, "rope_theta": 1e6},
            [1, 0.133371, 0.01581139, 1.405853e-3, 2.5e-4, 4.445699e-5, 7.905694e-6, 1.405853e-6],
            1.1386294,
        ),
        (
            8,
            64,
            {**YARN, "factor": 2.0, "beta_fast": 4, "beta_slow": 2, "truncate": False},
            [1.0, 0.05, 0.005, 0.0005],
            1.0693147,
        ),
        (8, 256, {**YARN, "mscale": 0.7, "mscale_all_dim": 1.2}, SEEN, 0.9167913),
        (8, 256, {**YARN, "attention_factor": 1.5}, SEEN, 1.5),
    ],
)
def test_frequencies_and_scale_agree(head_size, longest, parameters, frequencies, scale):
    found = turns(head_size, longest, rope_parameters={"rope_theta": 1e4, **parameters})
    np.testing.assert_allclose(found.frequencies, frequencies, rtol=1e-6)
    assert found.scale == pytest.approx(scale, rel=1e-6)


def test_the_spelling_before_release_5_means_the_same():
    scaling = {"type": "yarn", "factor": 8.0, "original_max_position_embeddings": 64}
    old = turns(8, 256, rope_theta=1e4, rope_scaling=scaling)
    np.testing.assert_allclose(old.frequencies, SEEN, rtol=1e-6)


def test_texts_for_which_dynamic_scaling_begins_are_not_taken():
    with pytest.raises(CheckpointError, match="dynamic beyond 128 tokens"):
        turns(8, 128, max_length=129, rope_parameters={"rope_type": "dynamic", "factor": 2.0})

"""A model of texts and images loads whole, and answers for image files."""

import json

import numpy as np
import pytest

from tests.unit.worker.graphs import GOLDEN, close, edit, reference
from worker.batching.packing import pack_images
from worker.checkpoint.config import CheckpointError
from worker.checkpoint.heads import Output
from worker.engine import ImageBatch, TokenBatch
from worker.engines.catalog import REFERENCE
from worker.hosting.loading import load


@pytest.fixture(scope="module", params=["clip", "siglip"])
def loaded(request, tmp_path_factory):
    return request.param, load(GOLDEN / request.param, tmp_path_factory.mktemp("cache"))


def test_image_files_become_the_original_vectors(loaded):
    name, model = loaded
    files = json.loads((GOLDEN / name / "inputs.json").read_bytes())["images"]
    pixels = [
        model.vision.preprocessor.pixel_values((GOLDEN / name / f).read_bytes()) for f in files
    ]
    close(
        model.vision.engine.run(ImageBatch.stack(pixels))["dense"], reference(name)["image_embeds"]
    )


def test_texts_come_from_the_same_model(loaded):
    name, model = loaded
    texts = json.loads((GOLDEN / name / "inputs.json").read_bytes())["texts"]
    rows = [text.ids for text in model.tokenizer.encode(texts)]
    close(model.engine.run(TokenBatch.pack(rows))["dense"], reference(name)["text_embeds"])
    assert model.sizes[Output.DENSE] == reference(name)["text_embeds"].shape[1]


def test_a_model_of_texts_alone_has_no_vision(minilm):
    assert minilm.vision is None


def test_a_second_start_finds_both_graphs(tmp_path):
    first = load(GOLDEN / "clip", tmp_path)
    second = load(GOLDEN / "clip", tmp_path)
    batch = pack_images(first.vision.canary())
    vectors = (model.vision.engine.run(batch)["dense"] for model in (first, second))
    np.testing.assert_array_equal(*vectors)
    assert len(list(tmp_path.glob("engines/*/vision.onnx"))) == len(REFERENCE.forms)


def test_a_preprocessor_of_another_size_than_the_tower_fails_at_load(tmp_path, checkpoint_copy):
    directory = checkpoint_copy("siglip")
    edit(directory / "preprocessor_config.json", size={"height": 16, "width": 16})
    with pytest.raises(CheckpointError, match=r"of 32 x 32 pixels, .* makes 16 x 16"):
        load(directory, tmp_path / "cache")

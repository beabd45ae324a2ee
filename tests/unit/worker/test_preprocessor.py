"""Pixel values are those of the original image processors."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from worker.checkpoint.config import CheckpointError
from worker.images.error import ImageError
from worker.images.preprocessor import ImagePreprocessor, Size

GOLDEN = Path(__file__).parents[2] / "golden"
FAMILIES = ["clip", "siglip"]


def golden_images(name):
    listed = json.loads((GOLDEN / name / "inputs.json").read_bytes())["images"]
    return [(GOLDEN / name / image).read_bytes() for image in listed]


def edited(tmp_path, name, **values):
    config = json.loads((GOLDEN / name / "preprocessor_config.json").read_bytes()) | values
    kept = {key: value for key, value in config.items() if value is not ...}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(kept))
    return tmp_path


def png(width, height):
    file = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("layout", ["", "v5_layout"])
def test_pixel_values_agree(name, layout):
    preprocessor = ImagePreprocessor.open(GOLDEN / name / layout)
    values = [preprocessor.pixel_values(image) for image in golden_images(name)]
    expected = np.load(GOLDEN / name / "reference.npz")["pixel_values"]
    assert values[0].dtype == np.float32
    np.testing.assert_allclose(np.stack(values), expected, atol=1e-6, rtol=0)


def test_later_releases_write_it_into_the_configuration_of_the_whole_processor(tmp_path):
    stated = json.loads((GOLDEN / "clip" / "preprocessor_config.json").read_bytes())
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": stated}))
    later, usual = ImagePreprocessor.open(tmp_path), ImagePreprocessor.open(GOLDEN / "clip")
    for image in golden_images("clip"):
        np.testing.assert_array_equal(later.pixel_values(image), usual.pixel_values(image))
    # What belongs to the texts' side says nothing about images.
    (tmp_path / "processor_config.json").write_text(json.dumps({"processor_class": "CLIP"}))
    with pytest.raises(CheckpointError, match=r"/preprocessor_config\.json: is missing"):
        ImagePreprocessor.open(tmp_path)


def test_the_first_releases_wrote_sizes_as_numbers(tmp_path):
    old = ImagePreprocessor.open(edited(tmp_path, "clip", size=32, crop_size=32))
    new = ImagePreprocessor.open(GOLDEN / "clip")
    for image in golden_images("clip"):
        np.testing.assert_array_equal(old.pixel_values(image), new.pixel_values(image))


def test_without_a_crop_a_number_is_both_sides(tmp_path):
    preprocessor = ImagePreprocessor.open(edited(tmp_path, "siglip", size=24))
    assert preprocessor.size == Size(24, 24)
    assert preprocessor.pixel_values(png(90, 10)).shape == (3, 24, 24)


def test_steps_can_be_left_out(tmp_path):
    directory = edited(tmp_path, "siglip", do_rescale=False, do_normalize=False)
    assert ImagePreprocessor.open(directory).pixel_values(png(3, 3)).max() == 255


def test_a_thread_of_an_image_is_refused_rather_than_blown_up():
    with pytest.raises(ImageError, match="is 1 x 2000000 pixels, too long"):
        ImagePreprocessor.open(GOLDEN / "clip").pixel_values(png(1, 2_000_000))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"do_resize": False}, "do_resize false is not supported"),
        ({"crop_size": 64}, "crop_size is larger"),
        ({"size": {"longest_edge": 32}}, "has no shortest_edge"),
        ({"size": ...}, "has no size"),
        ({"resample": 9}, "resample 9 is no filter"),
        ({"image_mean": [0.5]}, "image_mean is not a number for each of 3 channels"),
        ({"image_mean": ["a", "b", "c"]}, "image_mean is not a number"),
        ({"image_std": [0.5, 0.5, 0]}, "image_std divides by 0"),
    ],
)
def test_a_configuration_that_is_not_understood_says_why(tmp_path, values, problem):
    with pytest.raises(CheckpointError, match=problem):
        ImagePreprocessor.open(edited(tmp_path, "clip", **values))


def test_a_missing_configuration_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"preprocessor_config\.json: is missing"):
        ImagePreprocessor.open(tmp_path)

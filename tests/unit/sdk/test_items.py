"""What callers may give as items."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sie_sdk._core.items import chunks, item
from sie_sdk._core.pictures import picture
from sie_sdk._core.progress import Bar, Progress


def png(mode="RGB", size=(5, 4)):
    coded = io.BytesIO()
    Image.new(mode, size, 7).save(coded, "PNG")
    return coded.getvalue()


def opened(found):
    image = Image.open(io.BytesIO(found["data"]))
    return image.format.lower(), image.size, image.mode


def test_files_go_as_they_are(tmp_path: Path):
    path = tmp_path / "picture.PNG"
    path.write_bytes(png())
    for given in (path, str(path)):
        assert picture(given) == {"data": png(), "format": "png"}
    assert picture(b"bytes") == {"data": b"bytes"}
    assert picture({"data": b"x", "format": "webp"}) == {"data": b"x", "format": "webp"}


def test_files_of_other_formats_are_coded(tmp_path: Path):
    path = tmp_path / "picture.bmp"
    Image.new("RGB", (5, 4)).save(path)
    assert opened(picture(path)) == ("jpeg", (5, 4), "RGB")


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("RGB", ("jpeg", "RGB")),
        ("L", ("jpeg", "L")),
        ("P", ("jpeg", "RGB")),
        ("RGBA", ("png", "RGBA")),
    ],
)
def test_pil_images_are_coded(mode, expected):
    found = picture(Image.new(mode, (5, 4)))
    assert opened(found) == (expected[0], (5, 4), expected[1])
    assert found["format"] == expected[0]


def test_arrays_are_pixels():
    pixels = np.full((40, 50, 3), (200, 30, 90), np.uint8)
    found = picture(pixels)
    assert opened(found) == ("jpeg", (50, 40), "RGB")
    seen = np.asarray(Image.open(io.BytesIO(found["data"]))).astype(int)
    assert np.abs(seen - pixels).max() <= 4
    assert opened(picture(np.zeros((4, 5), np.uint8))) == ("jpeg", (5, 4), "L")
    for wrong in (
        np.zeros((4, 5), np.float32),
        np.zeros((4, 5, 2), np.uint8),
        np.zeros(3, np.uint8),
    ):
        with pytest.raises(TypeError, match="uint8"):
            picture(wrong)


def test_an_item_has_the_form_of_the_wire(tmp_path: Path):
    document = tmp_path / "a.PDF"
    document.write_bytes(b"%PDF")
    found = item(
        {
            "id": "a",
            "images": [b"x"],
            "document": document,
            "metadata": {"k": 1},
            "multivector": [[1, 2], [3, 4]],
            "text": None,
        }
    )
    rows = found.pop("multivector")
    assert (rows.dtype, rows.shape) == (np.float32, (2, 2))
    assert found == {
        "id": "a",
        "images": [{"data": b"x"}],
        "document": {"data": b"%PDF", "format": "pdf"},
        "metadata": {"k": 1},
    }


@pytest.mark.parametrize(
    "wrong",
    [
        1,
        None,
        b"bytes",
        ["text"],
        {"txt": "x"},
        {"images": b"x"},
        {"images": "x.png"},
        {"images": [1]},
        {"document": 1},
        {"multivector": [1.0]},
    ],
)
def test_what_is_no_item_is_refused(wrong):
    with pytest.raises(TypeError):
        item(wrong)


def test_chunks_are_bounded_in_items_and_bytes():
    small = [{"text": str(n)} for n in range(10)]
    assert [len(chunk) for chunk in chunks(small, 4, 10**6)] == [4, 4, 2]
    large = [{"images": [{"data": b"x" * 1000}]} for _ in range(5)]
    assert [len(chunk) for chunk in chunks(large, 100, 2500)] == [2, 2, 1]
    assert [len(chunk) for chunk in chunks(large, 100, 10)] == [1] * 5
    assert list(chunks([], 4, 100)) == []


def test_a_bar_is_drawn_at_the_end_and_not_for_every_item():
    stream = io.StringIO()
    now = iter([0, 0.05, *[0.06] * 98, 2.0])
    progress = Progress(Bar(stream, lambda: next(now)), 100)
    for _ in range(100):
        progress.add(1)
    lines = stream.getvalue().split("\r")[1:]
    assert [line.split()[1] for line in lines] == ["1/100", "100/100"]
    assert lines[-1].endswith("50/s\n")

"""Strangers' images are decoded, or refused with a reason before they cost anything."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from worker.images.decoding import decode
from worker.images.error import ImageError


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def picture(mode="RGB", size=(40, 30)):
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(noise).convert(mode)


def png_claiming(width, height):
    """A valid header and nothing that could fill it."""

    def chunk(kind, data):
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 64))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_three_formats_are_decoded_to_rgb(kind):
    image = decode(encoded(picture(), kind))
    assert (image.mode, image.size) == ("RGB", (40, 30))


@pytest.mark.parametrize("mode", ["RGBA", "L", "LA", "1", "P", "I;16"])
def test_every_png_mode_becomes_rgb(mode):
    source = Image.new("I;16", (4, 4)) if mode == "I;16" else picture(mode)
    assert decode(encoded(source, "PNG")).mode == "RGB"


def test_a_cmyk_jpeg_becomes_rgb():
    assert decode(encoded(picture("CMYK"), "JPEG")).mode == "RGB"


def test_a_photo_taken_sideways_is_turned():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned a quarter
    assert decode(encoded(picture(), "JPEG", exif=exif)).size == (30, 40)


def test_the_first_frame_of_an_animation_is_taken():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    options = {"save_all": True, "append_images": frames[1:], "lossless": True}
    assert decode(encoded(frames[0], "WEBP", **options)).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\x89PNG", b"\xff\xd8\xff", b"<svg/>", b"%PDF-1.7", b"\0" * 4096],
)
def test_what_is_no_image_is_refused(content):
    with pytest.raises(ImageError):
        decode(content)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM", "ICO"])
def test_other_formats_are_refused_by_name_of_those_that_are_not(kind):
    with pytest.raises(ImageError, match="no PNG, JPEG or WEBP image"):
        decode(encoded(picture(), kind))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
def test_a_file_cut_short_is_refused(kind, share):
    content = encoded(picture(size=(200, 200)), kind)
    with pytest.raises(ImageError):
        decode(content[: int(len(content) * share)])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_flipped_bytes_give_an_image_or_a_refusal(kind):
    content = encoded(picture(), kind)
    random = np.random.default_rng(1)
    for _ in range(150):
        damaged = bytearray(content)
        for place in random.integers(0, len(damaged), 4):
            damaged[place] ^= int(random.integers(1, 256))
        with contextlib.suppress(ImageError):
            assert decode(bytes(damaged)).mode == "RGB"


@pytest.mark.parametrize(
    ("width", "height"),
    [(8000, 8000), (10_000, 10_000), (65_535, 65_535), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1)],
)
def test_huge_dimensions_are_refused_from_the_header(width, height):
    with pytest.raises(ImageError, match="pixels"):
        decode(png_claiming(width, height))


def test_a_bomb_is_refused_before_it_is_decoded():
    bomb = encoded(Image.new("1", (7100, 7100)), "PNG")
    assert len(bomb) < 10_000
    with pytest.raises(ImageError, match="has 7100 x 7100 pixels, and 50000000 are allowed"):
        decode(bomb)


def test_the_bound_is_a_setting():
    content = encoded(picture(), "PNG")
    assert decode(content, max_pixels=1200).size == (40, 30)
    with pytest.raises(ImageError, match="1199 are allowed"):
        decode(content, max_pixels=1199)

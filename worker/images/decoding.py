"""Images that strangers send: decoded only if their header promises something bearable.

A header is a few bytes and can claim 65,535 x 65,535 pixels, 13 GB once decoded, so the size is
checked before the first pixel is.
"""

from __future__ import annotations

import io

from PIL import Image, ImageOps, UnidentifiedImageError

from worker.images.error import ImageError

FORMATS = ("PNG", "JPEG", "WEBP")
"""What is decoded. Pillow reads dozens more, each a decoder that strangers could attack."""

MAX_PIXELS = 50_000_000
"""The most pixels that are decoded unless said otherwise: 150 MB as RGB."""


def decode(content: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Return a PNG, JPEG or WebP image in RGB, the right way up; transparency is dropped.

    Of an animation the first frame is returned. Releases the GIL while it decodes.

    Raises:
        ImageError: the bytes are none of these formats, are damaged or cut short, or the image
            has more than max_pixels.

    """
    image = _opened(content, max_pixels)
    width, height = image.size
    if width * height > max_pixels:
        raise _too_large(f"has {width} x {height} pixels", max_pixels)
    try:
        # A camera stores which way up it was held and leaves the turning to the reader.
        return ImageOps.exif_transpose(image).convert("RGB")
    except Exception as error:  # decoders of damaged files raise whatever they stumble over
        raise ImageError(f"the image is damaged or cut short: {error}") from error


def _opened(content: bytes, max_pixels: int) -> Image.Image:
    """Read the header."""
    try:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        # Pillow has a bound of its own, which is above ours or the message is still true.
        raise _too_large("has too many pixels", max_pixels) from None
    except UnidentifiedImageError:
        raise ImageError(f"the bytes are no {_listed(FORMATS)} image") from None
    except Exception as error:  # as above
        raise ImageError(f"the image's header is damaged: {error}") from error


def _too_large(problem: str, max_pixels: int) -> ImageError:
    return ImageError(f"the image {problem}, and {max_pixels} are allowed")


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"

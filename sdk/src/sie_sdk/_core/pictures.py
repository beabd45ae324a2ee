"""Pictures as files: bytes and files of known formats stay as they are, anything else is coded."""

import io
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from sie_sdk._core.extras import needed

# Formats that models' preprocessing reads, by the suffixes of their files.
_FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
_JPEG_QUALITY = 95


def picture(value: Any) -> dict[str, Any]:
    """A picture as `{"data": bytes, "format": str}`; the format is left out where unknown.

    Pixels, and files of other formats, become JPEG of quality 95, or PNG where they have
    transparency.

    Raises:
        TypeError: it is no picture.
    """
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return {"data": bytes(value)}
    if isinstance(value, str | PathLike):
        return _file(Path(value))
    if isinstance(value, np.ndarray):
        return _coded(_image_of(value))
    if hasattr(value, "save") and hasattr(value, "mode"):
        return _coded(value)
    raise TypeError(
        f"a picture is a path, bytes, a PIL image or an array, not {type(value).__name__}"
    )


def _file(path: Path) -> dict[str, Any]:
    if kind := _FORMATS.get(path.suffix.lower()):
        return {"data": path.read_bytes(), "format": kind}
    with needed("PIL.Image", "images").open(path) as image:
        return _coded(image)


def _image_of(pixels: Any) -> Any:
    is_colour = pixels.ndim == 3 and pixels.shape[2] in (3, 4)
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or is_colour):
        raise TypeError(
            "an array of pixels is (height, width, 3) or (height, width) uint8, "
            f"not {pixels.shape} {pixels.dtype}"
        )
    return needed("PIL.Image", "images").fromarray(np.ascontiguousarray(pixels))


def _coded(image: Any) -> dict[str, Any]:
    coded = io.BytesIO()
    if "A" in image.mode or "transparency" in image.info:
        image.save(coded, format="PNG")
        return {"data": coded.getvalue(), "format": "png"}
    if image.mode not in ("RGB", "L"):
        image = image.convert("RGB")
    image.save(coded, format="JPEG", quality=_JPEG_QUALITY)
    return {"data": coded.getvalue(), "format": "jpeg"}

"""From a decoded image to the pixel values that an image tower reads.

    RGB ─ resize ─ centre crop ─ rescale, subtract mean, divide by std ─► (3, height, width)

The steps and their arithmetic are those of `transformers`' CLIPImageProcessor and
SiglipImageProcessor, configured by preprocessor_config.json or, as later releases write it, by
the entry `image_processor` of processor_config.json, which counts if both are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.checkpoint.config import CheckpointError, Config
from worker.images.decoding import MAX_PIXELS, decode
from worker.images.error import ImageError

_BICUBIC = 3
_CHANNELS = 3


class Size(NamedTuple):
    """Width and height in pixels, in Pillow's order."""

    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class ImagePreprocessor:
    """Turns image files into arrays, one at a time; safe to share between threads.

    Attributes:
        size: the width and height of every result.
        shortest_edge: the shorter side after a resize that keeps the ratio, the middle of which
            is the result; None resizes straight to `size`.
        resample: the filter.
        scale: what byte values are multiplied by.
        mean: subtracted from the scaled channels, (3,) float32.
        std: what the channels are divided by then, (3,) float32.
        max_pixels: the bound on an image as it is sent, and as it is resized.

    """

    size: Size
    shortest_edge: int | None
    resample: Image.Resampling
    scale: float
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    max_pixels: int = MAX_PIXELS

    @classmethod
    def open(cls, directory: Path) -> ImagePreprocessor:
        """Read preprocessor_config.json, or its later spelling.

        Raises:
            CheckpointError: it is missing, malformed or asks for what is not supported.

        """
        config = _config(directory)
        size, shortest_edge = _resizing(config)
        rescale, normalize = _wants(config, "do_rescale"), _wants(config, "do_normalize")
        return cls(
            size=size,
            shortest_edge=shortest_edge,
            resample=_filter(config),
            scale=config.number("rescale_factor", default=1 / 255) if rescale else 1.0,
            mean=_channels(config, "image_mean") if normalize else _same(0),
            std=_divisors(config, "image_std") if normalize else _same(1),
        )

    def pixel_values(self, content: bytes) -> NDArray[np.float32]:
        """Return the pixel values of an image file, (3, height, width) float32, C order.

        Raises:
            ImageError: it is no PNG, JPEG or WebP, is damaged, or has too many pixels.

        """
        resized = self._resized(decode(content, max_pixels=self.max_pixels))
        # In float64 first, as published.
        scaled = (np.asarray(resized) * self.scale).astype(np.float32)
        values = (scaled - self.mean) / self.std
        return np.ascontiguousarray(values.transpose(2, 0, 1), dtype=np.float32)

    def _resized(self, image: Image.Image) -> Image.Image:
        if self.shortest_edge is None:
            return image.resize(self.size, self.resample)
        target = _with_shortest_edge(image, self.shortest_edge)
        # A thread of an image, 1 x 40,000,000, would be resized to a million times its area.
        if target.width * target.height > self.max_pixels:
            raise ImageError(
                f"the image is {image.width} x {image.height} pixels, too long for its width"
            )
        return _middle(image.resize(target, self.resample), self.size)


def _config(directory: Path) -> Config:
    joint = Config.read_optional(directory / "processor_config.json").below("image_processor")
    return joint if joint.values else Config.read(directory / "preprocessor_config.json")


def _with_shortest_edge(image: Image.Image, edge: int) -> Size:
    if image.width <= image.height:
        return Size(edge, int(edge * image.height / image.width))
    return Size(int(edge * image.width / image.height), edge)


def _middle(image: Image.Image, size: Size) -> Image.Image:
    left, top = (image.width - size.width) // 2, (image.height - size.height) // 2
    return image.crop((left, top, left + size.width, top + size.height))


def _resizing(config: Config) -> tuple[Size, int | None]:
    """Return the size of the result and the shortest edge before a centre crop, if any."""
    if not _wants(config, "do_resize"):
        raise CheckpointError(config.path, "do_resize false is not supported")
    if "crop_size" not in config.values or not _wants(config, "do_center_crop"):
        return _size(config, "size"), None
    crop = _size(config, "crop_size")
    edge = _shortest_edge(config)
    if edge < max(crop):
        raise CheckpointError(config.path, "crop_size is larger than the resized image")
    return crop, edge


def _shortest_edge(config: Config) -> int:
    """Read `size`, with its name or, in the first releases, as a bare number."""
    if isinstance(config.values.get("size"), dict):
        return config.below("size").integer("shortest_edge")
    return config.integer("size")


def _size(config: Config, name: str) -> Size:
    """Read a size, both sides named or, in the first releases, one number for both."""
    if isinstance(config.values.get(name), dict):
        sides = config.below(name)
        return Size(sides.integer("width"), sides.integer("height"))
    return Size(config.integer(name), config.integer(name))


def _wants(config: Config, step: str) -> bool:
    return config.values.get(step) is not False


def _filter(config: Config) -> Image.Resampling:
    number = int(config.number("resample", default=_BICUBIC))
    try:
        return Image.Resampling(number)
    except ValueError:
        raise CheckpointError(config.path, f"resample {number} is no filter") from None


def _channels(config: Config, name: str) -> NDArray[np.float32]:
    """Read one number a channel."""
    try:
        values = np.array(config.values.get(name), dtype=np.float32)
    except (TypeError, ValueError):
        values = np.empty(0, dtype=np.float32)
    if values.shape != (_CHANNELS,) or not np.isfinite(values).all():
        raise CheckpointError(config.path, f"{name} is not a number for each of 3 channels")
    return values


def _divisors(config: Config, name: str) -> NDArray[np.float32]:
    values = _channels(config, name)
    if not values.all():
        raise CheckpointError(config.path, f"{name} divides by 0")
    return values


def _same(value: float) -> NDArray[np.float32]:
    return np.full(_CHANNELS, value, dtype=np.float32)

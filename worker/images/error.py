"""What is wrong with an image: apart from what decodes it, a tenth of a worker's start."""

from __future__ import annotations


class ImageError(ValueError):
    """The bytes are no image that can be used; the message tells the sender why."""

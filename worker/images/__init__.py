"""From image files to pixel values."""

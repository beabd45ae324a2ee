"""Packages that only some callers need."""

import importlib
from typing import Any


def needed(module: str, extra: str) -> Any:
    """A module of an optional dependency.

    Raises:
        ImportError: it is not installed; says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = (error.name or module).partition(".")[0]
        raise ImportError(
            f"{package} is needed for this: pip install 'sie-sdk[{extra}]'", name=module
        ) from error

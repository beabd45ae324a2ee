"""Where a call goes: the model in its address, pool and machine profile in its headers."""

from collections.abc import Mapping


def checked_model(model: str) -> str:
    """A model id that can stand in a path.

    Raises:
        ValueError: it is empty, or steps out of the path.
    """
    if not model or any(part in ("", ".", "..") for part in model.split("/")):
        raise ValueError(f"not a model id: {model!r}")
    return model


def routing(gpu: str | None, work_class: str | None = None) -> Mapping[str, str]:
    """Headers for a machine profile, or a pool and a profile of it: `tenant-abc/l4`."""
    headers = {}
    if gpu:
        pool, separator, profile = gpu.partition("/")
        if not separator:
            pool, profile = "", gpu
        headers = {"x-sie-machine-profile": profile, "x-sie-pool": pool}
    if work_class:
        headers["x-sie-work-class"] = work_class
    return {name: value for name, value in headers.items() if value}

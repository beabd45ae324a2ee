"""A TensorRT plan on disk: it runs on the GPU and the version that it was built with, or nowhere.

<compiled>/plans/<digest of what it fits>.plan      what TensorRT serialised
<compiled>/plans/<digest of what it fits>.json      what it fits, in words
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from worker.engine import EngineError
from worker.files.content import digest_of, write_atomically


@dataclass(frozen=True, slots=True)
class PlanTarget:
    """What a plan fits.

    Attributes:
        gpu: the card's name, such as `NVIDIA L4`.
        capability: its compute capability, such as `8.9`.
        tensorrt: the library's version.
        precision: what the graph computes in.

    """

    gpu: str
    capability: str
    tensorrt: str
    precision: str

    def __str__(self) -> str:
        return f"{self.gpu} ({self.capability}), TensorRT {self.tensorrt}, {self.precision}"


def plan_path(compiled: Path, target: PlanTarget) -> Path:
    """Return where the plan of a compiled graph lies for a target."""
    key = digest_of(json.dumps(asdict(target), sort_keys=True).encode())[:32]
    return compiled / "plans" / f"{key}.plan"


def save_plan(path: Path, target: PlanTarget, plan: bytes) -> None:
    """Write a plan, and then what it fits: a plan without is not read."""
    write_atomically(path, plan)
    write_atomically(path.with_suffix(".json"), json.dumps(asdict(target)).encode())


def read_plan(path: Path, target: PlanTarget) -> bytes:
    """Read a plan, whoever built it.

    Raises:
        EngineError: it is missing, does not say what it fits, or fits another target.

    """
    try:
        fits = PlanTarget(**json.loads(path.with_suffix(".json").read_bytes()))
        plan = path.read_bytes()
    except FileNotFoundError as error:
        raise EngineError(f"{error.filename}: is missing") from None
    except (ValueError, TypeError):
        raise EngineError(f"{path.with_suffix('.json')}: does not say what the plan fits") from None
    if fits != target:
        raise EngineError(f"{path}: was built for {fits}; this is {target}")
    return plan

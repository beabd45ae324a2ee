"""What was measured about a model on this machine, kept so that a warm start measures nothing.

<root>/profiles/<key>.json      the engine that was chosen and why, what a run of it costs, and
                                how its batches are shaped
<root>/profiles/<key>.lock      held while it is measured

Processes that want the same profile at the same time wait for the one that measures: several at
once would take the machine from each other, and measure that.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from worker.compiler.graph_form import GraphForm
from worker.engines.choose import Choice
from worker.files.content import digest_of, write_atomically
from worker.files.lock import locked
from worker.opening.layout import LayoutChoice
from worker.opening.probe import CostModel


@dataclass(frozen=True, slots=True)
class EngineProfile:
    """An engine for a model.

    Attributes:
        choice: the engine, and why it.
        cost: of its runs; None where that could not be measured.
        layout: how its batches are shaped; None for a graph that takes one text a row.

    """

    choice: Choice
    cost: CostModel | None
    layout: LayoutChoice | None = None


class ProfileStore:
    """Profiles by what decides them: the checkpoint, the engines and the machine."""

    def __init__(self, root: Path) -> None:
        self._directory = root / "profiles"

    def find(self, parts: dict[str, object]) -> EngineProfile | None:
        """Return what was kept, or None where there is nothing, or nothing readable."""
        try:
            kept = json.loads(self._path(parts).read_bytes())
            choice = kept["choice"]
            return EngineProfile(
                Choice(choice["engine"], GraphForm.of(choice["form"]), choice["reason"]),
                kept["cost"] and CostModel(**kept["cost"]),
                kept["layout"] and LayoutChoice(**kept["layout"]),
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def get(self, parts: dict[str, object], measure: Callable[[], EngineProfile]) -> EngineProfile:
        """Return what was kept, or what `measure` returns, which is kept."""
        found = self.find(parts)
        if found is not None:
            return found
        path = self._path(parts)
        with locked(path.with_suffix(".lock")):
            found = self.find(parts)
            if found is None:
                found = measure()
                write_atomically(path, json.dumps(asdict(found)).encode())
        return found

    def _path(self, parts: dict[str, object]) -> Path:
        key = digest_of(json.dumps(parts, sort_keys=True).encode())
        return self._directory / f"{key}.json"

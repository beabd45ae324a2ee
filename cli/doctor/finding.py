"""What was found, and what to do about it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    # Could not be looked at from here.
    SKIPPED = "skipped"
    # Works, and may not for long, or not as meant.
    WARNING = "warning"
    # Does not work.
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """One finding.

    Args:
        check: what was looked at, a word.
        level: how bad it is.
        message: what was found, a sentence.
        advice: what to do; empty where there is nothing to do.
    """

    check: str
    level: Level
    message: str
    advice: str = ""


def failed(findings: Sequence[Finding], *, strict: bool) -> bool:
    """Whether something does not work; `strict` counts warnings too."""
    bad = {Level.FAILURE, Level.WARNING} if strict else {Level.FAILURE}
    return any(finding.level in bad for finding in findings)


def as_json(findings: Sequence[Finding], *, strict: bool) -> dict[str, Any]:
    """The findings as `--json` prints them."""
    return {
        "ok": not failed(findings, strict=strict),
        "findings": [asdict(finding) for finding in findings],
    }


def as_lines(findings: Sequence[Finding]) -> list[str]:
    """A line for each finding, and one for each advice."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.level:8} {finding.check:9} {finding.message}")
        if finding.advice:
            lines.append(f"{'':18} -> {finding.advice}")
    return lines

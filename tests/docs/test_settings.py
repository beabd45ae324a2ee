"""The page of settings lists what the services read, with the defaults that they have."""

import dataclasses
import re
from enum import Enum
from pathlib import Path

import config_service.settings
import gateway.settings
import worker.settings
from tests.charts.rendering import ROOT

_SERVICES = {
    "gateway": gateway.settings.Settings,
    "config": config_service.settings.Settings,
    "worker": worker.settings.Settings,
}
_SECTIONS = {"Gateway": "gateway", "Config service": "config", "Worker": "worker"}
# Its default is the name of the process.
_NAMELESS = "SIE_WORKER_ID"

Row = tuple[str, str, frozenset[str]]


def _default(variable: str, value: object) -> str:
    if value is None or value in ("", ()) or variable == _NAMELESS:
        return "-"
    match value:
        case bool():
            text = str(value).lower()
        case float():
            text = f"{value:g}"
        case Enum():
            text = str(value.value)
        case Path():
            text = str(value).replace(str(Path.home()), "~")
        case _:
            text = str(value)
    return f"`{text}`"


def _read() -> set[Row]:
    """Variable, default and services of each setting."""
    found: dict[tuple[str, str], set[str]] = {}
    for service, settings in _SERVICES.items():
        for field in dataclasses.fields(settings):
            variable = field.metadata["variable"]
            default = _default(variable, field.default)
            found.setdefault((variable, default), set()).add(service)
    return {(*setting, frozenset(services)) for setting, services in found.items()}


def _documented() -> list[Row]:
    rows = []
    for section in (ROOT / "docs/settings.md").read_text().split("\n## ")[1:]:
        title = section.partition("\n")[0]
        for variable, default, rest in re.findall(
            r"^\| `(\w+)` \| (\S+) \| (.+) \|$", section, re.MULTILINE
        ):
            services = (
                {_SECTIONS[title]} if title in _SECTIONS else rest.split(" | ")[0].split(", ")
            )
            rows.append((variable, default, frozenset(services)))
    return rows


def test_the_page_of_settings_lists_what_the_services_read() -> None:
    rows = _documented()
    assert set(rows) == _read()
    assert len(rows) == len(set(rows))

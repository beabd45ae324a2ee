"""What pages name is there: other pages, their headings, and files of the project."""

import re
from pathlib import Path

import pytest
import yaml

from tests.charts.rendering import ROOT

_DOCS = ROOT / "docs"
_PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(_DOCS.glob("*.md")),
    *sorted((ROOT / "benchmarks/results").glob("*.md")),
    ROOT / "charts/sie-cluster/README.md",
    ROOT / "sdk/README.md",
]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", _FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page(page: Path) -> None:
    for link in _LINK.findall(_FENCED.sub("", page.read_text())):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def test_files_that_pages_name_are_there() -> None:
    """A module may be named by the end of its path, as `routing.py` beside `gateway/verbs/`."""
    files = [f"/{path.relative_to(ROOT)}" for path in ROOT.glob("[!.]*/**/*.py")]
    for page in _PAGES:
        for name in re.findall(r"`([\w/.-]+\.py)`", page.read_text()):
            assert any(file.endswith(f"/{name}") for file in files), (page, name)


def test_every_page_is_in_the_site_and_none_is_missing() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    listed = {page for entry in nav for page in entry.values()}
    assert listed == {page.name for page in _DOCS.glob("*.md")}

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.local_stack import LocalStack


@pytest.fixture
def local_stack(tmp_path: Path) -> Iterator[LocalStack]:
    """A stack on free ports with nothing started yet; what a test starts, this stops."""
    with LocalStack(tmp_path / "stack") as stack:
        yield stack

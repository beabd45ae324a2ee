"""What git keeps is small, readable, and says nothing of the machine that it was written on."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Checkpoints of the tests are the largest; what is larger belongs to a release, not to its history.
LARGEST_BYTES = 600_000
# What a program wrote for programs: descriptors, tensors, images.
BINARY = {".bin", ".binpb", ".npy", ".npz", ".png", ".pt", ".safetensors"}
# Homes, and where work is often kept; not `sie/work/v1`.
_PLACES = "home|media|mnt|root|Users|work"
_MACHINE = re.compile(rf"(?<![\w.*{{}}<>-])/(?:{_PLACES})/\w".encode())
# Where packages were fetched from is the business of who fetches them.
_INDEX = re.compile(rb"^--?(?:i|index-url|extra-index-url|find-links)[ =]", re.MULTILINE)
_UNDONE = re.compile(rb"\b(?:TODO|FIXME|XXX)\b")


def _tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    paths = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in paths if path.is_file() and "third_party" not in path.parts]


def test_files_are_small_and_binary_only_where_programs_read_them() -> None:
    for path in _tracked():
        assert path.stat().st_size <= LARGEST_BYTES, path
        assert path.suffix in BINARY or b"\0" not in path.read_bytes(), path


@pytest.mark.parametrize("pattern", [_MACHINE, _INDEX, _UNDONE], ids=["place", "index", "undone"])
def test_no_text_tells_of_a_machine_or_of_work_undone(pattern: re.Pattern[bytes]) -> None:
    for path in _tracked():
        if path.suffix not in BINARY and path != Path(__file__):
            found = pattern.search(path.read_bytes())
            assert found is None, (path, found)

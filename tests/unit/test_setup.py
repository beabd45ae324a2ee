"""`make setup` on a terminal, with a Python that only says what pip would."""

import os
import pty
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts/setup.sh"
PYTHON = """\
#!/bin/sh
case "$*" in
*version_info*) echo 3.12 ;;
*"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
*requirements/lock.txt)
    echo "Ignoring c: markers do not match"
    echo "Collecting a==1"
    echo "  Downloading a-1-py3-none-any.whl.metadata (1 kB)"
    echo "  Downloading a-1-py3-none-any.whl (13 kB)"
    test -z "$STUB_FAILS" || { echo "ERROR: no such hash" >&2; exit 1; }
    echo "Installing collected packages: a" ;;
esac
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/lock.txt").write_text("a==1 \\\n    --hash=sha256:0\nb==2\nc==3\n")
    (tmp_path / "pyproject.toml").touch()
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    return tmp_path


def set_up(project, **env):
    """Its exit code, what a terminal was shown, and its errors."""
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [project / "scripts/setup.sh"],
        check=False,
        env=os.environ | {"PYTHON": str(project / "python")} | env,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    )
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    os.close(theirs)
    return done.returncode, shown, done.stderr


def test_packages_are_counted_while_they_come(project):
    code, shown, errors = set_up(project)
    assert (code, errors) == (0, "")
    assert re.search(r"\x1b\[K  dependencies +\d+ s\r\n", shown)
    for progress in ("1 of 3 packages", "2 of 3 packages", "installing 2 packages"):
        assert progress in shown
    assert "3 of 3" not in shown


def test_what_fails_says_why(project):
    code, shown, errors = set_up(project, STUB_FAILS="1")
    assert code == 1
    assert "2 of 3 packages" in shown
    assert "dependencies                      failed" in errors
    assert "ERROR: no such hash" in errors
    assert "ready after" not in shown

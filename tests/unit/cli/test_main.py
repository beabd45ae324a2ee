"""The list of commands, which imports none of them."""

import os
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from cli.__main__ import main


def test_every_command_that_is_listed_is_there():
    listed = CliRunner().invoke(main, ["--help"])
    assert listed.exit_code == 0
    names = re.findall(r"^  ([a-z]+)  +\S", listed.output.partition("Commands:")[2], re.MULTILINE)
    assert len(names) > 10
    for name in names:
        helped = CliRunner().invoke(main, [name, "--help"])
        assert helped.exit_code == 0, helped.output
        assert f"{name} [OPTIONS]" in helped.output


def test_the_list_is_there_at_once():
    program = (
        "import sys; from cli.__main__ import main; main(['--help'], standalone_mode=False);"
        "assert not {'grpc', 'numpy', 'nats', 'onnx'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_a_command_that_is_not_there_is_named():
    refused = CliRunner().invoke(main, ["encod"])
    assert refused.exit_code == 2
    assert "encod" in refused.output


@pytest.mark.parametrize("module", ["click", "grpc"])
def test_ctrl_c_while_it_imports_ends_it_without_a_word(tmp_path, module):
    interrupt = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
    (tmp_path / f"{module}.py").write_text(interrupt)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    command = [sys.executable, "-P", "-m", "cli", "models"]
    done = subprocess.run(
        command, check=False, capture_output=True, env=os.environ | {"PYTHONPATH": path}
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")

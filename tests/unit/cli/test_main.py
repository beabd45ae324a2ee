"""The list of commands, which imports none of them."""

import os
import re
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["encode", "known", b"a\xff"], "Error: not UTF-8: b'a\\xff'\n"),
        (["pools", "create", "a", "cpu=2147483648"], "PROFILE=COUNT is expected"),
        (["registry", "diff", "--", "-1"], "is not in the range"),
        (["registry", "history", "-n", "0"], "is not in the range"),
    ],
)
def test_what_cannot_be_sent_is_said_to_be_so(arguments, told):
    given = [text if isinstance(text, str) else os.fsdecode(text) for text in arguments]
    refused = CliRunner().invoke(main, given)
    assert refused.exit_code in (1, 2)
    assert told in refused.output


def test_an_output_that_takes_nothing_is_a_sentence():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "cli", "version"],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
    assert done.returncode == 1
    assert done.stderr == "Error: No space left on device\n"


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

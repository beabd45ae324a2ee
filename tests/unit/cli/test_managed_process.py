import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.managed_process import ManagedProcess, ProcessError, stop_all
from tests.unit.cli.conftest import MakeChild
from tests.waiting import until

SLEEP = "import time; print('up'); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP


def wait_for_log(child: ManagedProcess, text: str) -> None:
    until(lambda: text in child.log_tail(), wanted=f"{text!r} of {child.name}")


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_child_that_dies_while_starting_is_reported_with_its_log(make_child: MakeChild) -> None:
    child = make_child("print('cannot open the store'); raise SystemExit(3)", probe=lambda: False)
    child.start()
    with pytest.raises(ProcessError) as caught:
        child.wait_ready(60)
    message = caught.value.message
    assert "child ended with exit code 3" in message
    assert "cannot open the store" in message
    assert str(child.log_path) in message


def test_a_child_that_never_gets_ready_is_reported(make_child: MakeChild) -> None:
    child = make_child(SLEEP, probe=lambda: False)
    child.start()
    with pytest.raises(ProcessError, match=r"not ready after 0\.1 s"):
        child.wait_ready(0.1)


def test_stop_ends_all_that_can_be_asked_and_kills_the_rest(make_child: MakeChild) -> None:
    polite, stubborn = make_child(SLEEP, "polite"), make_child(STUBBORN, "stubborn")
    for child in (polite, stubborn):
        child.start()
        wait_for_log(child, "up")
    stop_all([polite, stubborn], grace_s=0.3)
    assert polite.exit_code == 128 + signal.SIGTERM
    assert stubborn.exit_code == 128 + signal.SIGKILL


def test_a_child_can_be_started_again_and_its_tail_is_of_the_last_start(
    make_child: MakeChild,
) -> None:
    child = make_child("import os; print(f'pid {os.getpid()}')")
    child.start()
    child.wait(60)
    first = child.log_tail()
    child.start()
    child.wait(60)
    assert len(child.log_tail()) == 1
    assert child.log_tail() != first
    assert child.log_path.read_text().splitlines() == first + child.log_tail()


def test_a_signal_to_an_ended_child_does_nothing(make_child: MakeChild) -> None:
    child = make_child("pass")
    child.start()
    assert child.wait(60) == 0
    child.terminate()
    child.kill()


def test_waiting_too_long_is_an_error(make_child: MakeChild) -> None:
    child = make_child(SLEEP)
    child.start()
    with pytest.raises(ProcessError, match="still runs"):
        child.wait(0.05)


def test_a_child_is_in_a_process_group_of_its_own(make_child: MakeChild) -> None:
    child = make_child(SLEEP)
    child.start()
    assert os.getpgid(child.pid) == child.pid != os.getpgid(0)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a parent-death signal")
def test_a_child_dies_with_a_killed_supervisor(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from cli.managed_process import ManagedProcess\n"
        f"child = ManagedProcess('c', [sys.executable, '-c', {STUBBORN!r}],"
        f" Path({str(tmp_path)!r}) / 'c.log', env={{}})\n"
        "child.start(); print(child.pid, flush=True); time.sleep(60)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE
    ) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        assert is_alive(pid)
        supervisor.kill()
    until(lambda: not is_alive(pid), wanted="the end of the child")

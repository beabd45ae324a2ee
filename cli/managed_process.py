"""A child process that is watched by its pid, logs to a file, and dies with its supervisor."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cli.errors import CommandError
from cli.probes import Probe

_LAUNCHER = Path(__file__).with_name("launcher.py")
_POLL_S = 0.02
_TAIL_LINES = 15

# Linux ends such children when the *thread* that started them ends, so one thread that lasts
# as long as the process starts them all.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")


class ProcessError(CommandError):
    """A child did not do what was expected of it. The message ends with the tail of its log."""

    def __init__(self, process: "ManagedProcess", problem: str) -> None:
        tail = "\n".join(f"    {line}" for line in process.log_tail()) or "    (empty)"
        super().__init__(f"{process.name} {problem}\n  log: {process.log_path}\n{tail}")
        self.process = process


class ManagedProcess:
    """A child in a process group of its own, so that a terminal's Ctrl-C does not reach it.

    Args:
        name: shown to people; also the name of its log.
        command: program and arguments, run without a shell.
        log_path: where both of its output streams go.
        env: its whole environment.
        probe: tells whether it is ready; without one, it is as soon as it runs.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log_path: Path,
        *,
        env: Mapping[str, str],
        probe: Probe = lambda: True,
    ) -> None:
        self.name = name
        self.log_path = log_path
        self.env = env
        self._command = list(command)
        self._probe = probe
        self._child: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def start(self) -> None:
        """Starts it, or starts it anew once it has ended. The log goes on."""
        assert not self.is_running, f"{self.name} runs already"
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._child = _starter.submit(self._spawn).result()

    def _spawn(self) -> subprocess.Popen[bytes]:
        guard = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid())]
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            return subprocess.Popen(
                guard + self._command,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    @property
    def pid(self) -> int:
        assert self._child is not None, f"{self.name} was never started"
        return self._child.pid

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """As the shell counts: None while it runs, 128 + n when signal n ended it."""
        code = None if self._child is None else self._child.poll()
        return code if code is None or code >= 0 else 128 - code

    def is_ready(self) -> bool:
        """Asks its probe once."""
        return self.is_running and self._probe()

    def expect_running(self) -> None:
        """Raises ProcessError if it has ended while it, or what needs it, was starting."""
        if not self.is_running:
            raise ProcessError(self, f"ended with exit code {self.exit_code} while starting")

    def has_started(self) -> bool:
        """Asks its probe once, while it is expected to become ready.

        Raises:
            ProcessError: it has ended instead.
        """
        self.expect_running()
        return self._probe()

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Returns when it is ready.

        Raises:
            ProcessError: it has ended, or is not ready after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not self.has_started():
            if time.monotonic() > deadline:
                raise ProcessError(self, f"is not ready after {timeout:g} s")
            time.sleep(_POLL_S)

    def signal(self, number: int) -> None:
        """Sends a signal, unless it has ended."""
        if self._child is not None:
            self._child.send_signal(number)

    def terminate(self) -> None:
        self.signal(signal.SIGTERM)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end and returns its exit code.

        Raises:
            ProcessError: it still runs after `timeout` seconds.
        """
        assert self._child is not None, f"{self.name} was never started"
        try:
            self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ProcessError(self, f"still runs after {timeout:g} s") from None
        code = self.exit_code
        assert code is not None
        return code

    def log_tail(self, lines: int = _TAIL_LINES) -> list[str]:
        """The last lines it wrote since it was last started."""
        if not self.log_path.exists():
            return []
        written = self.log_path.read_bytes()[self._log_start :]
        return written.decode(errors="replace").splitlines()[-lines:]


def stop_all(processes: Sequence[ManagedProcess], grace_s: float) -> None:
    """Asks all at once to end, and kills those that still run after `grace_s` seconds."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + grace_s
    while any(process.is_running for process in processes):
        if time.monotonic() > deadline:
            kill_all(processes)
            return
        time.sleep(_POLL_S)


def kill_all(processes: Sequence[ManagedProcess]) -> None:
    """Ends all at once, and returns when they are gone."""
    for process in processes:
        process.kill()
    for process in processes:
        if process.is_running:
            process.wait()

import pytest

from cli.supervisor import Supervisor, restart_delay
from tests.unit.cli.conftest import MakeChild


class Clock:
    """Stands still until a test moves it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("ends", "delay"), [(1, 0.5), (2, 1), (3, 2), (4, 4), (7, 30), (99, 30)])
def test_every_end_in_a_row_waits_longer(ends: int, delay: float) -> None:
    assert restart_delay(ends) == delay


def test_a_crash_loop_is_called_one(make_child: MakeChild) -> None:
    child = make_child("print('no such bundle'); raise SystemExit(2)", "worker-1")
    child.start()
    clock, said = Clock(), list[str]()
    supervisor = Supervisor([child], said.append, clock)
    for _ in range(4):
        child.wait(60)
        supervisor.tick()
        clock.now += 30
        supervisor.tick()
    assert "worker-1 ended (exit code 2" in said[0]
    assert "starting it again in 0.5 s" in said[0]
    assert "no such bundle" in said[0]
    assert str(child.log_path) in said[0]
    assert "keeps crashing: 4 times in a row" in said[3]


def test_nothing_is_restarted_before_its_time(make_child: MakeChild) -> None:
    child = make_child("pass")
    child.start()
    child.wait(60)
    clock, said = Clock(), list[str]()
    supervisor = Supervisor([child], said.append, clock)
    supervisor.tick()
    pid = child.pid
    clock.now += 0.4
    supervisor.tick()
    assert child.pid == pid
    clock.now += 0.2
    supervisor.tick()
    assert child.pid != pid


def test_who_ran_long_starts_a_new_row(make_child: MakeChild) -> None:
    child = make_child("pass")
    child.start()
    child.wait(60)
    clock, said = Clock(), list[str]()
    supervisor = Supervisor([child], said.append, clock)
    for _ in range(3):
        supervisor.tick()
        clock.now += 30
        supervisor.tick()
        child.wait(60)
    clock.now += 3600
    supervisor.tick()
    assert "starting it again in 2 s" in said[2]
    assert "starting it again in 0.5 s" in said[3]


def test_a_return_is_announced(make_child: MakeChild) -> None:
    child = make_child("import time; time.sleep(60)")
    child.start()
    child.kill()
    child.wait(60)
    clock, said = Clock(), list[str]()
    supervisor = Supervisor([child], said.append, clock)
    supervisor.tick()
    clock.now += 1
    supervisor.tick()
    supervisor.tick()
    supervisor.tick()
    assert said[1:] == ["child is ready again"]

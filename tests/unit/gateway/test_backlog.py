import pytest

from gateway.backlog import Backlog


def busy(rate, seconds, start=0.0, backlog=None):
    """A backlog of a thousand items after seconds in which so many a second were answered."""
    backlog = backlog or Backlog()
    backlog.add(start, 1000 - backlog.waiting)
    for step in range(1, int(seconds * 100) + 1):
        backlog.answered(start + step / 100, rate / 100)
        backlog.add(start + step / 100, rate / 100)
    return backlog


@pytest.mark.parametrize("rate", [50, 400])
def test_what_waits_takes_as_long_as_it_has_taken(rate):
    assert busy(rate, 10).wait_s(10.0) == pytest.approx(1000 / rate, rel=0.05)


def test_a_change_of_speed_is_seen_within_seconds():
    backlog = busy(400, 10)
    busy(100, 15, start=10.0, backlog=backlog)
    assert backlog.wait_s(25.0) == pytest.approx(10, rel=0.4)


def test_nothing_is_predicted_of_little_of_a_moment_or_of_silence():
    few = Backlog()
    few.add(0, 10)
    few.answered(5, 1)
    assert few.wait_s(100.0) == 0
    assert busy(100, 0.5).wait_s(0.5) == 0
    silent = Backlog()
    silent.add(0, 5000)
    assert silent.wait_s(60.0) == 0


def test_a_pause_is_no_speed():
    backlog = Backlog()
    backlog.add(0, 100)
    backlog.answered(1, 60)
    backlog.leave(1, 30)
    backlog.add(1000, 200)
    assert backlog.wait_s(1000.5) == 0
    backlog.answered(1002, 100)
    assert backlog.wait_s(1002) == pytest.approx(2, rel=0.2)
    assert backlog.waiting == 110

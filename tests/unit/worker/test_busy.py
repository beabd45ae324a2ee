"""How busy a device says it was."""

from worker.batching.device import Device
from worker.busy import BusyShare


def test_the_share_is_of_the_last_seconds():
    busy = BusyShare(10.0)
    # Half busy for 20 s, then idle.
    shares = [busy.share(min(now, 20) / 2, float(now)) for now in range(41)]
    assert shares[0] == 0
    assert shares[1:21] == [0.5] * 20
    assert shares[25] == 0.25
    assert shares[30:] == [0.0] * 11


def test_beats_that_are_rare_or_at_once_are_no_trouble():
    busy = BusyShare(10.0)
    assert [busy.share(0, 0.0), busy.share(0, 0.0)] == [0, 0]
    assert busy.share(60, 60.0) == 1
    assert busy.share(60, 120.0) == 0


def test_a_device_is_busy_while_anything_runs_on_it():
    now = [0.0]
    device = Device(2, lambda: now[0])
    first, second = device.join(), device.join()
    now[0] = 5.0
    assert device.busy_s() == 0
    with first.turn():
        now[0] = 6.0
        with second.turn():
            now[0] = 8.0
        now[0] = 9.0
        assert device.busy_s() == 4
    now[0] = 20.0
    with second.turn():
        now[0] = 21.0
    assert device.busy_s() == 5

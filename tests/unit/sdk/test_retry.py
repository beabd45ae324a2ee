"""The table of retries, without a network and without waiting."""

import random

import pytest

from sie_sdk import errors
from sie_sdk._core.failure import Failure, Kind
from sie_sdk._core.retry import Patience, Retry


def failed(status=0, code="", retry_after=None, kind=Kind.ANSWER, **metadata):
    return Failure(kind, "no", status, code, retry_after, metadata)


def waits(failure, patience=None, most=1000):
    """The waits that follow one failure after another, until the call is given up."""
    patience = patience or Patience(900)
    now = 0.0
    retry = Retry(patience, now, random.Random(1))
    found = []
    while len(found) < most:
        try:
            found.append(retry.after(failure, now))
        except errors.SIEError as error:
            return found, error
        now += found[-1]
    return found, None


CONNECTION = failed(kind=Kind.CONNECTION)
TIMEOUT = failed(kind=Kind.TIMEOUT)


@pytest.mark.parametrize(
    ("failure", "first", "error"),
    [
        (failed(202, "PROVISIONING"), 5, errors.ProvisioningError),
        (failed(202, retry_after=120.0), 120, errors.ProvisioningError),
        (failed(503, "MODEL_LOADING"), 5, errors.ModelLoadingError),
        (failed(503, "QUEUE_FULL", 2.0), 2, errors.ServerError),
        (failed(503), 5, errors.ServerError),
        (CONNECTION, 1, errors.SIEConnectionError),
    ],
)
def test_what_waiting_mends_is_tried_until_the_budget_ends(failure, first, error):
    found, ended = waits(failure)
    assert type(ended) is error
    assert first <= found[0] <= first * 1.25
    # The last attempt has a second left.
    assert sum(found) == pytest.approx(899)


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (failed(429, "QUOTA_EXCEEDED", 3.0), errors.RequestError),
        (failed(500, "INTERNAL_ERROR"), errors.ServerError),
        (failed(502, "MODEL_LOAD_FAILED"), errors.ModelLoadFailedError),
        (failed(502), errors.ServerError),
        (failed(404, "MODEL_NOT_FOUND"), errors.RequestError),
        (failed(503, "GPU_NOT_CONFIGURED"), errors.ServerError),
        (failed(kind=Kind.UNREACHABLE), errors.SIEConnectionError),
        (failed(200, kind=Kind.UNREADABLE), errors.ServerError),
    ],
)
def test_what_waiting_does_not_mend_is_told_at_once(failure, error):
    found, ended = waits(failure)
    assert (found, type(ended)) == ([], error)


@pytest.mark.parametrize(
    ("failure", "times"),
    [
        (failed(503, "LORA_LOADING"), 10),
        (failed(503, "RESOURCE_EXHAUSTED"), 3),
        (failed(504), 3),
        (TIMEOUT, 3),
    ],
)
def test_some_things_are_tried_a_number_of_times(failure, times):
    assert len(waits(failure)[0]) == times


def test_memory_gets_longer_and_longer_to_recover():
    found, ended = waits(failed(503, "RESOURCE_EXHAUSTED", 8.0))
    assert [pytest.approx(each, rel=0.25) for each in found] == [8, 16, 30]
    assert isinstance(ended, errors.ResourceExhaustedError)
    assert waits(failed(503, "RESOURCE_EXHAUSTED"), Patience(900, oom_retries=0))[0] == []
    # A wait that does not fit is not begun.
    assert waits(failed(503, "RESOURCE_EXHAUSTED", 8.0), Patience(8))[0] == []


@pytest.mark.parametrize("failure", [failed(202), failed(503), failed(504), CONNECTION, TIMEOUT])
def test_who_does_not_wait_is_told_at_once(failure):
    assert waits(failure, Patience(900, waits=False))[0] == []


@pytest.mark.parametrize("code", ["MODEL_LOADING", "LORA_LOADING", "RESOURCE_EXHAUSTED"])
def test_loading_is_waited_for_also_without_waiting_for_capacity(code):
    assert waits(failed(503, code), Patience(900, waits=False), most=1)[0]


def test_bulk_work_waits_for_its_quota():
    found, _ = waits(failed(429, "QUOTA_EXCEEDED", 3.0), Patience(60, waits_for_quota=True))
    assert sum(found) == pytest.approx(59)


def test_a_connection_is_tried_less_and_less_often():
    found, _ = waits(CONNECTION, most=6)
    assert [pytest.approx(each, rel=0.25) for each in found] == [1, 2, 4, 5, 5, 5]


def test_clients_do_not_come_back_as_one():
    delays = {Retry(Patience(900), 0, random.Random(n)).after(failed(503), 0) for n in range(20)}
    assert len(delays) == 20
    assert min(delays) >= 5
    assert max(delays) <= 6.25

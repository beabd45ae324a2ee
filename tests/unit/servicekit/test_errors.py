"""One list of reasons, three wire forms."""

import re
from urllib.parse import quote

import pytest
from google.rpc import error_details_pb2

from servicekit.errors import (
    SieError,
    code_of,
    from_proto,
    from_status,
    http_headers_of,
    internal,
    invalid,
    json_of,
    proto_of,
    spec_of,
    status_of,
)
from sie.errors.v1.error_pb2 import Error
from sie.errors.v1.error_reason_pb2 import ErrorReason

REASONS = [value for value in ErrorReason.values() if value]


@pytest.mark.parametrize("reason", REASONS, ids=code_of)
def test_every_reason_says_what_it_means(reason):
    spec = spec_of(reason)
    assert spec.code
    assert spec.http_status == 202 or 400 <= spec.http_status < 600
    assert re.fullmatch(r"[A-Z][A-Z0-9_]{0,61}[A-Z0-9]", code_of(reason))


@pytest.mark.parametrize("reason", REASONS, ids=code_of)
def test_every_retryable_reason_says_when_and_no_other_does(reason):
    error = SieError(reason, "m")
    assert ("retry-after" in http_headers_of(error)) == spec_of(reason).retryable
    assert proto_of(error).HasField("retry_after") == spec_of(reason).retryable


@pytest.mark.parametrize("reason", REASONS, ids=code_of)
def test_an_error_survives_both_ways_across_grpc_and_the_queue(reason):
    keys = spec_of(reason).metadata_keys
    error = SieError(reason, "a sentence", retry_after_s=2.5, **dict.fromkeys(keys, "v"))
    for copy in (from_status(status_of(error)), from_proto(proto_of(error))):
        assert (copy.reason, copy.message, copy.metadata, copy.retry_after_s) == (
            reason,
            "a sentence",
            dict.fromkeys(keys, "v"),
            2.5,
        )


@pytest.mark.parametrize("reason", [0, 9999])
def test_a_reason_of_a_later_version_is_an_internal_error_with_its_message(reason):
    error = from_proto(Error(reason=reason, message="a sentence"))
    assert (code_of(error.reason), error.message) == ("INTERNAL_ERROR", "a sentence")


def test_bad_input_names_its_field_in_every_form():
    error = invalid("items[3].text", "expected a string")
    assert json_of(error)["error"]["metadata"] == {"field": "items[3].text"}
    violations = error_details_pb2.BadRequest()
    assert any(detail.Unpack(violations) for detail in status_of(error).details)
    assert violations.field_violations[0].field == "items[3].text"


def test_both_places_that_clients_read_say_the_same():
    body = json_of(internal(), "r1")
    assert body["error"]["code"] == body["detail"]["code"] == "INTERNAL_ERROR"
    assert body["error"]["message"] == body["detail"]["message"]
    assert body["error"]["request_id"] == "r1"


def test_retry_after_is_whole_seconds_and_at_least_one():
    error = SieError(ErrorReason.ERROR_REASON_QUEUE_FULL, "m", retry_after_s=0.2)
    assert http_headers_of(error)["retry-after"] == "1"


@pytest.mark.parametrize("character", ["x", "é", "😀", "\n", "\ud800"])
def test_a_status_fits_into_trailers_whatever_callers_name(character):
    error = invalid(f"items[{character * 100_000}]", character * 100_000)
    status = status_of(error, "a" * 36)
    message = len(quote(status.message.encode())) + len(status.SerializeToString()) * 4 / 3
    assert message < 8000
    assert from_status(status).message == error.message

"""What counts as a number in a header, a query or a form."""

import pytest

from gateway.numbers import integer_of, number_of
from tests.unit.gateway.support import NO_NUMBERS


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_json_would_not_write_is_no_number(text):
    assert integer_of(text) is None
    assert number_of(text) is None


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("-3", -3), ("007", 7), ("18446744073709551615", 2**64 - 1)]
)
def test_digits_are_an_integer(text, number):
    assert integer_of(text) == number
    assert number_of(text) == pytest.approx(number)


@pytest.mark.parametrize(("text", "number"), [("3.5", 3.5), ("-1e-05", -1e-5), ("2E+3", 2000)])
def test_fractions_and_exponents_are_numbers_but_no_integers(text, number):
    assert number_of(text) == number
    assert integer_of(text) is None

from cli.highlight import extracted, highlighted
from sie.errors.v1.error_pb2 import Error
from sie.inference.v1.result_pb2 import Classification, Entity, ExtractResult

TEXT = "Zoë lives in New York."
ZOE = Entity(text="Zoë", label="person", score=0.9, start=0, end=3)
NEW_YORK = Entity(text="New York", label="place", score=0.75, start=13, end=21)


def test_entities_are_marked_where_they_stand() -> None:
    shown = highlighted(TEXT, [ZOE, NEW_YORK], coloured=False)
    assert shown == "[Zoë](person) lives in [New York](place)."


def test_an_entity_within_another_is_not_marked_again() -> None:
    york = Entity(label="place", start=17, end=21)
    shown = highlighted(TEXT, [york, NEW_YORK], coloured=False)
    assert shown == "Zoë lives in [New York](place)."


def test_a_terminal_gets_styles_and_the_same_words() -> None:
    shown = highlighted(TEXT, [ZOE], coloured=True)
    assert shown.startswith("\x1b[")
    assert "Zoë" in shown


def test_everything_found_is_listed_below_its_text() -> None:
    result = ExtractResult(entities=[ZOE, NEW_YORK], input_tokens=8)
    assert extracted([TEXT], [result], coloured=False) == [
        "[Zoë](person) lives in [New York](place).",
        "  person  Zoë       0.900",
        "  place   New York  0.750",
        "  (8 tokens)",
    ]


def test_classes_and_failures_are_told() -> None:
    travel = ExtractResult(classifications=[Classification(label="travel", score=0.5)])
    failed = ExtractResult(error=Error(message="too long"))
    nothing = ExtractResult(truncated=True)
    assert extracted(["a", "b", "c"], [travel, failed, nothing], coloured=False) == [
        "a",
        "  travel    0.500",
        "  (0 tokens)",
        "b",
        "  failed: too long",
        "c",
        "  nothing found",
        "  (0 tokens, truncated)",
    ]

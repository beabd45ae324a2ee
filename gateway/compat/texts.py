"""Texts as these APIs take them: one, or a list of them."""

from google.protobuf.struct_pb2 import Value

from servicekit.errors import invalid


def texts_of(value: Value, field: str, *, most: int, empty: bool = True) -> list[str]:
    """The texts of a field that takes one or many.

    Args:
        value: what was sent.
        field: its name.
        most: how many are taken.
        empty: whether texts may be empty.

    Raises:
        SieError: INVALID_INPUT, naming the field or its element.
    """
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        values = [value]
    elif kind == "list_value":
        values = list(value.list_value.values)
    else:
        raise invalid(field, "expected a text or a list of texts")
    if not 1 <= len(values) <= most:
        raise invalid(field, f"1 to {most} texts are taken, got {len(values)}")
    for index, each in enumerate(values):
        where = field if kind == "string_value" else f"{field}[{index}]"
        if each.WhichOneof("kind") != "string_value":
            raise invalid(where, "expected a text; token ids are not read, send the text itself")
        if not (each.string_value or empty):
            raise invalid(where, "must not be empty")
    return [each.string_value for each in values]

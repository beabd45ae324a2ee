"""The client's README does what it shows."""

import ast
import re
from pathlib import Path

import pytest

from tests.docs.blocks import blocks_of
from tests.docs.running import Place

README = Path(__file__).parents[2] / "sdk" / "README.md"
PYTHON = [block.text for block in blocks_of(README) if block.language == "python"]


def _block(words):
    (found,) = [text for text in PYTHON if words in text]
    return found


def _shown(text):
    """Snippets, each up to a comment, with what the comment says that the last line gives."""
    begin = 0
    lines = text.splitlines(keepends=True)
    for statement in ast.parse(text).body:
        end = statement.end_lineno
        comment = lines[end].removeprefix("# ").strip() if lines[end : end + 1] else ""
        is_shown = isinstance(statement, ast.Expr) and lines[end : end + 1] and "# " in lines[end]
        yield "".join(lines[begin : statement.lineno - 1]), statement, comment if is_shown else None
        begin = end


def _run(place, text, names):
    """Runs a block; returns what each comment promised, with what came."""
    found = []
    for before, statement, comment in _shown(text):
        source = ast.unparse(statement)
        if comment is None:
            place.python(before + source, names)
        else:
            place.python(f"{before}shown = {source}", names)
            found.append((comment, names["shown"]))
    return found


@pytest.fixture
def place(stack, tmp_path):
    with Place(tmp_path, http=stack.http_address, grpc=stack.grpc_address) as place:
        yield place


@pytest.fixture
def names(place):
    """What the first block defines."""
    names = {}
    names["promised"] = _run(place, _block("from sie_sdk.types import Item"), names)
    return names


def test_the_first_steps_give_what_the_comments_say(names):
    (shape, two, ranking, small) = names["promised"]
    assert shape[0] == " ".join(map(str, shape[1]))
    assert "in the order of the items, with their ids" in two[0]
    assert [result["id"] for result in two[1]] == ["a", "b"]
    assert ranking[0] == str(ranking[1])
    assert small[0].startswith("(64,) int8 (")
    numbers = [float(text) for text in re.findall(r"-?\d+\.\d+", small[0])]
    assert small[1][2] == pytest.approx(numbers, abs=1e-5)
    assert str(small[1][1]) == "int8"


def test_many_items_come_from_a_file_of_lines(place, names):
    (place.folder / "lines.txt").write_text("one\ntwo\nthree\n")
    text = _block("client.encode_iter").replace("...", "rows.append(result)")
    names["rows"] = []
    place.python(text, names)
    assert [row["dense"].shape for row in names["rows"]] == [(384,)] * 3


def test_a_batch_is_made_awaited_and_read(place, names):
    promised = _run(place, _block("client.create_batch"), names)
    assert [(said, str(came)) for said, came in promised] == [
        ("completed", "completed"),
        ("['doc-0']", "['doc-0']"),
    ]


def test_errors_say_what_the_comments_say(place, names):
    too_long, unknown = re.split(r"(?<=\})\n(?=client)", _block("RequestError"))
    for text in (too_long, unknown):
        call, comment = text.split("\n", 1)
        kind, code, status = re.match(r"# (\w+): (\w+), (\d+)", comment).groups()
        with pytest.raises(Exception, match=r".") as caught:
            place.python(call, names)
        assert type(caught.value).__name__ == kind
        assert (caught.value.code, caught.value.status_code) == (code, int(status))


def test_the_async_client_is_the_same_awaited(place, names):
    body = _block("async with SIEAsyncClient").replace(', api_key="..."', "")
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    code = f"import asyncio\nfrom sie_sdk import SIEAsyncClient\nasync def main():\n{lines}"
    place.python(code + "    return result\nresult = asyncio.run(main())\n", names)
    assert names["result"]["dense"].shape == (384,)

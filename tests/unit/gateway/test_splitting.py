"""Lines and forms that come in any blocks, or are none."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from gateway.http.multipart import MultipartSplitter, Part
from gateway.lines import Splitter
from servicekit.errors import SieError

BOUNDARY = "b0"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
contents = st.binary(max_size=60).filter(lambda content: b"--b0" not in content)
names = st.text("abcdef", min_size=1, max_size=8)
cuts = st.lists(st.integers(0, 400), max_size=12)


def blocks_of(body, places):
    ends = sorted({0, len(body), *(place % (len(body) + 1) for place in places)})
    return [body[start:end] for start, end in itertools.pairwise(ends)]


@given(st.lists(st.binary(max_size=12)), cuts, st.integers(0, 12))
def test_lines_are_those_of_the_whole(parts, places, most):
    body = b"\n".join(parts)
    splitter, found = Splitter(most), []
    for block in blocks_of(body, places):
        found += splitter.add(block)
    found += splitter.finish()
    expected = []
    for number, line in enumerate(body.split(b"\n"), 1):
        if len(line) > most:
            expected.append((number, None))
        elif line.strip():
            expected.append((number, line.strip()))
    assert [(line.number, line.content) for line in found] == expected
    # Whoever goes on behind a line finds the next one.
    for line, following in itertools.pairwise(found):
        again = Splitter(most, line.number, line.end)
        rest = [*again.add(body[line.end :]), *again.finish()]
        assert rest[0] == following


@given(st.lists(st.tuples(names, contents), min_size=1, max_size=4), cuts)
def test_parts_are_those_that_were_sent(parts, places):
    body = b"preamble\r\n"
    for name, content in parts:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        body += head.encode() + content + b"\r\n"
    body += f"--{BOUNDARY}--\r\nepilogue".encode()
    splitter, found = MultipartSplitter(TYPE), []
    for block in blocks_of(body, places):
        for event in splitter.add(block):
            if isinstance(event, Part):
                found.append((event.name, b""))
            else:
                found[-1] = (found[-1][0], found[-1][1] + event)
    splitter.finish()
    assert found == parts


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=20),
            st.sampled_from([b"--b0", b"\r\n--b0", b"\r\n", b"--", b"\r\n\r\n", b"--b0--\r\n"]),
        ),
        max_size=20,
    )
)
def test_any_bytes_are_parts_or_refused(blocks):
    splitter = MultipartSplitter(TYPE)
    refused = ""
    try:
        for block in blocks:
            list(splitter.add(block))
        splitter.finish()
    except SieError as error:
        refused = error.metadata["field"]
    assert refused in ("", "body")

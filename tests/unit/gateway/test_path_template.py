import pytest

from gateway.transcoder.path_template import PathTemplate
from servicekit.errors import SieError

MATCHES = [
    ("/v1/models", "/v1/models", []),
    ("/v1/*/models", "/v1/a/models", []),
    ("/v1/{name}", "/v1/a", [("name", "a")]),
    ("/v1/{name=*}/renew", "/v1/a/renew", [("name", "a")]),
    ("/v1/{model=**}", "/v1/a", [("model", "a")]),
    ("/v1/{model=**}", "/v1/a/b/c", [("model", "a/b/c")]),
    ("/v1/{model=**}", "/v1/bundle:/a/b", [("model", "bundle:/a/b")]),
    ("/v1/{model=**}:load", "/v1/a/b:load", [("model", "a/b")]),
    ("/v1/{name=shelves/*}", "/v1/shelves/1", [("name", "shelves/1")]),
    ("/v1/{name=shelves/*/books/**}", "/v1/shelves/1/books/a/b", [("name", "shelves/1/books/a/b")]),
    ("/v1/{a.b}/x/{c}", "/v1/1/x/2", [("a.b", "1"), ("c", "2")]),
    ("/v1/{name}", "/v1/a%20b", [("name", "a b")]),
    ("/v1/{name}", "/v1/a%2Fb", [("name", "a/b")]),
    ("/v1/{name=**}", "/v1/a%2Fb/c%2fd", [("name", "a/b/c/d")]),
    ("/v1/{name=**}", "/v1/a%2Fb%20c/%C3%A9", [("name", "a/b c/é")]),
    ("/v1/{name}", "/v1/a+b", [("name", "a+b")]),
]


@pytest.mark.parametrize(("template", "path", "values"), MATCHES)
def test_a_template_matches_and_decodes(template, path, values):
    compiled = PathTemplate(template)
    captured = compiled.match(path)
    assert captured is not None
    assert compiled.values(captured) == values


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/v1/models", "/v1/models/"),
        ("/v1/{name}", "/v1/"),
        ("/v1/{name}", "/v1/a/b"),
        ("/v1/{model=**}", "/v1/"),
        ("/v1/{model=**}", "/v1/a/"),
        ("/v1/{model=**}", "/v1/a//b"),
        ("/v1/{model=**}", "/v1"),
        ("/v1/{model=**}:load", "/v1/a/b"),
        ("/v1/{name=shelves/*}", "/v1/books/1"),
        ("/v1/a.b", "/v1/axb"),
    ],
)
def test_a_template_does_not_match(template, path):
    assert PathTemplate(template).match(path) is None


@pytest.mark.parametrize(
    "template",
    [
        "v1",
        "/v1/{",
        "/v1/{name",
        "/v1/{name=}",
        "/v1/{=*}",
        "/v1/{A}",
        "/v1/**/a",
        "/v1/}",
        "/v1//a",
        "/v1/",
        "/v1/{a=**}/{b}",
        "/v1/{a=**}/*",
        "/v1/a*",
        "/v1/*a",
        "/v1/{a}b",
        "/v1/b{a}",
        "/v1/{a={b}}",
    ],
)
def test_a_template_outside_the_grammar_is_refused(template):
    with pytest.raises(ValueError, match="path template"):
        PathTemplate(template)


@pytest.mark.parametrize("escaped", ["%", "%2", "%zz", "%ff", "%C3"])
def test_a_broken_escape_names_the_field(escaped):
    template = PathTemplate("/v1/{name}")
    with pytest.raises(SieError) as caught:
        template.values((escaped,))
    assert caught.value.metadata["field"] == "name"

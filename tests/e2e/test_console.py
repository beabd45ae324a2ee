"""The page at `/`, in a real browser."""

import pytest

from tests.asking import ask
from tests.e2e.browser import browser, chromium

pytestmark = pytest.mark.skipif(chromium() is None, reason="needs Chromium (make tools)")


@pytest.fixture(scope="module")
def page(golden_stack, tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser")) as page:
        page.open(f"http://{golden_stack.http_address}/")
        page.until("document.querySelectorAll('select.model option').length > 3")
        yield page


def choose(page, verb, model, **fields):
    """Fills a form as a person would, and waits for its answer."""
    for selector, value in {"select": model, **fields}.items():
        page.evaluate(f"document.querySelector({f'#{verb} {selector}'!r}).value = {value!r}")
    page.evaluate(f"document.querySelector('[data-tab={verb}]').click()")
    page.evaluate(f"document.querySelector('#{verb} form button').click()")
    page.until(f"!document.querySelector('#{verb} form button').disabled")
    return page.evaluate(f"document.querySelector('#{verb} .problem').textContent")


def test_the_cluster_is_shown_as_it_is(page, golden_stack):
    page.until("document.querySelectorAll('#workers tr').length")
    rows = page.evaluate("[...document.querySelectorAll('#workers tr')].map(r => r.innerText)")
    workers = ask(golden_stack.http_address, "GET", "/health").json()["workers"]
    assert len(rows) == len(workers)
    assert workers[0]["name"] in rows[0]
    for table, start in (("lanes", "default\tcpu\tdefault\t2\t"), ("pools", "default\tactive\t")):
        (row,) = page.evaluate(
            f"[...document.querySelectorAll('#{table} tr')].map(r => r.innerText)"
        )
        assert row.startswith(start)
    assert "ready" in page.evaluate("document.querySelector('#summary').textContent")
    page.until("document.querySelector('#history polyline').getAttribute('points').includes(' ')")


def test_texts_are_compared_and_placed(page):
    assert choose(page, "encode", "golden/clip", textarea="one cat\ntwo cats\nrates") == ""
    cells = page.evaluate("[...document.querySelectorAll('#heat td')].map(c => c.textContent)")
    assert len(cells) == 9
    assert cells[0] == cells[4] == cells[8] == "1.00"
    places = page.evaluate(
        "[...document.querySelectorAll('#plane circle')].map(c => +c.getAttribute('cx'))"
    )
    assert len(places) == 3
    assert max(map(abs, places)) <= 1


def test_documents_are_ranked(page):
    assert choose(page, "score", "golden/bert_cross_encoder") == ""
    ranks = page.evaluate("[...document.querySelectorAll('#ranking tr')].map(r => r.innerText)")
    assert [rank.split()[0] for rank in ranks] == ["1", "2", "3"]


def test_entities_are_marked_in_their_text(page):
    text = "Tim 😀 Cook leads Apple in Cupertino."
    fields = {"textarea": text, "[name=labels]": "person, place"}
    assert choose(page, "extract", "golden/gliner", **fields) == ""
    marked = page.evaluate("document.querySelector('#marked').cloneNode(true).innerHTML")
    plain = page.evaluate(
        "(() => { const c = document.querySelector('#marked').cloneNode(true);"
        "c.querySelectorAll('small').forEach(s => s.remove()); return c.textContent; })()"
    )
    assert plain == text
    assert marked.count("<mark>") == page.evaluate(
        "document.querySelectorAll('#marked mark').length"
    )


def test_a_problem_is_said_and_markup_stays_text(page):
    problem = choose(page, "encode", "golden/clip", textarea="")
    assert "at least one item" in problem
    # What the request before gave does not stand beside it.
    assert page.evaluate("document.querySelectorAll('#heat td, #plane circle').length") == 0
    text = "<img src=x onerror=alert(1)>"
    assert choose(page, "encode", "golden/clip", textarea=text) == ""
    assert page.evaluate("document.querySelectorAll('#heat img').length") == 0


def test_nothing_was_refused_or_broken_on_the_way(page):
    assert [error for error in page.errors if "400" not in error] == []


def test_the_page_needs_nothing_from_elsewhere(stack):
    for path in ("/", "/console/app.js", "/console/math.js", "/console/style.css"):
        reply = ask(stack.http_address, "GET", path)
        assert reply.status == 200
        assert "default-src 'self'" in reply.headers["content-security-policy"]
        assert b"http://" not in reply.body.replace(b"http://www.w3.org/", b"")
        assert b"https://" not in reply.body


def test_a_verb_without_models_says_so(page):
    page.evaluate("document.querySelector('#extract select').replaceChildren()")
    assert choose(page, "extract", "") == "no model is registered that can extract"

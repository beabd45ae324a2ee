"""Pictures of runs: lines and bars where the numbers say."""

import xml.etree.ElementTree as ET

from scripts.timeline import Panel, Series, draw

SVG = "{http://www.w3.org/2000/svg}"


def test_values_are_drawn_to_scale_and_hold_until_the_next():
    line = Series("a <b>", "red", [(0, 0), (5, 2)])
    bars = Series("c", "blue", [(0, 4), (5, 0)], bars=True)
    root = ET.fromstring(draw([Panel("first", [line]), Panel("second", [bars])], 10, "s", 5))
    (polyline,) = root.iter(f"{SVG}polyline")
    corners = [tuple(map(float, each.split(","))) for each in polyline.get("points").split()]
    (left, low), (middle, _), (_, high), (right, _) = corners
    assert [y for _, y in corners] == [low, low, high, high]
    assert high < low
    assert round(middle - left) == round(right - middle)
    _, bar = root.iter(f"{SVG}rect")
    assert bar.get("fill") == "blue"
    assert abs(float(bar.get("x")) + float(bar.get("width")) - middle) < 1
    texts = [each.text for each in root.iter(f"{SVG}text")]
    assert {"first", "second", "a <b>", "c", "0", "5", "10", "s"} <= set(texts)


def test_a_run_with_nothing_in_it_is_drawn_too():
    root = ET.fromstring(draw([Panel("p", [Series("a", "red", [(0, 0)])])], 1, "s", 1))
    assert len(list(root.iter(f"{SVG}polyline"))) == 1

"""What Helm says after an installation: what was asked for, and what is missing."""

import shutil
from pathlib import Path

import pytest

from tests.charts.rendering import CHART, of_kind, render

# `helm template` renders no notes, so a chart is made that has them as an object.
_OBJECT = """
apiVersion: v1
kind: ConfigMap
metadata: {name: notes}
data: {text: {{ tpl (.Files.Get "files/NOTES.txt") . | quote }}}
"""


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notes") / "sie-cluster"
    shutil.copytree(CHART, folder)
    (folder / "templates" / "NOTES.txt").rename(folder / "files" / "NOTES.txt")
    (folder / "templates" / "notes.yaml").write_text(_OBJECT)
    return folder


def _notes(chart: Path, worked: str = "", *sets: str) -> str:
    return str(of_kind(render(worked, *sets, chart=chart), "ConfigMap")["notes"]["data"]["text"])


def test_they_say_what_there_is_and_how_to_ask_it(chart: Path) -> None:
    text = _notes(chart, "gke")
    assert "https://sie.example.com" in text
    assert "l4-spot: l4-spot, bundle default, 0 to 40 by demand" in text
    assert "-H 'Authorization: Bearer TOKEN'" in text
    assert "helm -n sie test sie" in text
    assert "WARNING" not in text


@pytest.mark.parametrize(
    ("sets", "warning"),
    [
        ((), "No pool of workers is enabled"),
        (("workers.pools.l4.enabled=true",), "WARNING: the pool l4 has no workers"),
        (("ingress.enabled=true", "ingress.host=a.b"), "WARNING: everybody who reaches"),
        (
            ("gateway.auth.mode=static", "gateway.auth.tokenFileSecretName=tenants"),
            "test.tokenSecretName names a secret",
        ),
        (("autoscaling.enabled=true",), "serviceMonitor.enabled arranges that"),
        ((), "nats.replicas=3 is for production"),
    ],
)
def test_they_say_what_is_missing(chart: Path, sets: tuple[str, ...], warning: str) -> None:
    assert warning in _notes(chart, "", *sets)
    assert warning not in _notes(chart, "gke")


def test_the_command_is_one_that_a_shell_takes(chart: Path) -> None:
    for worked in ("cpu", "gke"):
        (call,) = _notes(chart, worked).split("curl ")[1:]
        command, _, _ = call.partition("\n\n")
        lines = command.splitlines()
        assert all(line.endswith(" \\") for line in lines[:-1])
        assert lines[-1].endswith("'")

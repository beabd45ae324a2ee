"""The chart as Helm renders it: each set of values once, as objects."""

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "sie-cluster"
WORKED_VALUES = ("cpu", "gpu", "gke")
# Nothing of Helm's own outside the test: no repositories, no caches.
_ENV = {**os.environ, "HELM_NO_PLUGINS": "1"}
_KUBERNETES = "1.31.0"

Object = dict[str, Any]


def tool(name: str) -> str:
    """Path of a tool of `make tools`, or the test is skipped."""
    found = shutil.which(name, path=f"{ROOT / '.sie' / 'tools'}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is missing; `make tools` gets it")
    return found


class RefusedError(Exception):
    """Helm would not render; the message is what it said."""


@functools.cache
def render_text(
    worked: str = "",
    sets: tuple[str, ...] = (),
    values: str = "",
    chart: Path = CHART,
    flags: tuple[str, ...] = (),
) -> str:
    """What `helm template` prints for a release `sie` in namespace `sie`.

    Args:
        worked: one of the worked values files.
        sets: as in `--set`.
        values: more values, as YAML.
        chart: where it is.
        flags: more arguments.
    """
    command = [tool("helm"), "template", "sie", str(chart), "-n", "sie", *flags]
    command += ["--kube-version", _KUBERNETES]
    if worked:
        command += ["-f", str(CHART / "values" / f"{worked}.yaml")]
    if values:
        command += ["-f", "-"]
    for each in sets:
        command += ["--set", each]
    done = subprocess.run(
        command, input=values, check=False, capture_output=True, text=True, env=_ENV
    )
    if done.returncode:
        raise RefusedError(done.stderr)
    return done.stdout


def render(worked: str = "", *sets: str, **more: Any) -> list[Object]:
    """The objects; see `render_text`."""
    text = render_text(worked, sets, **more)
    return [each for each in yaml.load_all(text, yaml.CSafeLoader) if each]


def of_kind(objects: list[Object], *kinds: str) -> dict[str, Object]:
    """Objects of some kinds, by name."""
    return {each["metadata"]["name"]: each for each in objects if each["kind"] in kinds}


def pod_specs(objects: list[Object]) -> dict[str, Object]:
    """The pod of everything that makes pods, by the name of its owner."""
    owners = of_kind(objects, "Deployment", "StatefulSet", "DaemonSet")
    specs = {name: owner["spec"]["template"]["spec"] for name, owner in owners.items()}
    return specs | {name: pod["spec"] for name, pod in of_kind(objects, "Pod").items()}


def environment(container: Object) -> Mapping[str, str]:
    """A container's variables; those from elsewhere hold where they come from."""
    return {
        each["name"]: each.get("value", str(each.get("valueFrom"))) for each in container["env"]
    }

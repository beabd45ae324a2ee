import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.charts.chart_stack import ChartStack
from tests.charts.rendering import CHART, ROOT, Object, render, tool


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packaged chart. Charts of others, which cannot be fetched, are stand-ins of one object."""
    helm = tool("helm")
    folder = tmp_path_factory.mktemp("released")
    dependencies = yaml.safe_load((CHART / "dependencies.yaml").read_text())
    for each in dependencies["dependencies"]:
        version = each["version"].replace("x", "1")
        stand_in = folder / "charts" / each["name"]
        (stand_in / "templates").mkdir(parents=True)
        chart = {"apiVersion": "v2", "name": each["name"], "version": version}
        (stand_in / "Chart.yaml").write_text(yaml.safe_dump(chart))
        name = f"stand-in-{each['name']}"
        each_object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        (stand_in / "templates" / "object.yaml").write_text(yaml.safe_dump(each_object))
        each["repository"] = f"file://{stand_in}"
    (folder / "dependencies.yaml").write_text(yaml.safe_dump(dependencies))
    script = ROOT / "scripts" / "package_chart.sh"
    command = [str(script), str(folder / "out"), str(folder / "dependencies.yaml")]
    subprocess.run(command, check=True, env={"PATH": f"{Path(helm).parent}:/usr/bin:/bin"})
    (package,) = (folder / "out").glob("*.tgz")
    return package


@pytest.fixture(scope="session")
def objects(released: Path) -> list[Object]:
    """Everything that asks Prometheus, also of GPUs."""
    return render("gke", "dcgm-exporter.install=true", chart=released)


@pytest.fixture(scope="session")
def chart_stack(
    tmp_path_factory: pytest.TempPathFactory, engine_cache: Path
) -> Iterator[ChartStack]:
    tool("helm")
    with ChartStack(tmp_path_factory.mktemp("chart-stack"), cache_dir=engine_cache) as stack:
        stack.start_all()
        yield stack

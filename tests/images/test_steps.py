"""The steps of an image's build, one after the other, without a container."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.image_build
def test_the_steps_make_a_service_that_starts(tmp_path: Path) -> None:
    scripts = ROOT / "scripts"
    env = {**os.environ, "PYTHON": sys.executable}
    subprocess.run([scripts / "image_wheel.sh", tmp_path / "wheel"], env=env, check=True)
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    venv = tmp_path / "venv"
    made = subprocess.run(
        [scripts / "image_venv.sh", "config", venv],
        env=env,
        check=False,
        capture_output=True,
        text=True,
    )
    if made.returncode and "onnection" in made.stderr:
        pytest.skip("no package index can be reached")
    assert made.returncode == 0, made.stderr
    subprocess.run([scripts / "image_install.sh", wheel, venv], env=env, check=True)
    # It reads its settings and refuses one: everything that it imports is there.
    command = [venv / "bin" / "python", "-P", "-m", "config_service"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"SIE_CONFIG_GRPC_PORT": "x"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert "SIE_CONFIG_GRPC_PORT='x'" in done.stderr
    assert not list((venv / "lib").glob("python*/site-packages/pip"))

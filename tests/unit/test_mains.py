"""Services that cannot start say why in one line."""

import os
import socket
import subprocess
import sys

import pytest

from servicekit.grpc_server import GrpcServer
from servicekit.settings import SettingsError
from worker.worker import check_cache

WRONG = {
    "gateway": {"SIE_HTTP_PORT": "abc"},
    "worker": {"SIE_WORKER_HTTP_PORT": "abc"},
    "config_service": {"SIE_CONFIG_GRPC_PORT": "abc"},
}


@pytest.mark.parametrize("service", WRONG)
def test_a_setting_that_cannot_be_read_is_named_without_a_traceback(service):
    ((variable, value),) = WRONG[service].items()
    environment = os.environ | {variable: value, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-P", "-m", service]
    done = subprocess.run(
        command, env=environment, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert f": {variable}='{value}': " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_cache_that_cannot_be_is_named_by_its_setting(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"SIE_CACHE_DIR='.*file/cache': cannot be made"):
        check_cache(tmp_path / "file" / "cache")
    check_cache(tmp_path / "new" / "cache")
    assert (tmp_path / "new" / "cache").is_dir()


async def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=f"cannot listen on {address} for gRPC"):
            await GrpcServer(address, [], 1024).start()

"""The machine here: where a local stack keeps files, what it listens on and computes with."""

import os
import shutil
import ssl
import subprocess
from collections.abc import Iterable, Mapping
from http.client import HTTPException
from pathlib import Path

from cli.doctor.finding import Finding, Level
from cli.ports import HOST
from cli.probes import http_get, listening
from worker.engines.catalog import ENGINES

_GIB = 1024**3
_DRIVER = Path("/proc/driver/nvidia/version")
_PCI = Path("/sys/bus/pci/devices")
_NVIDIA_VENDOR = "0x10de"
_DISPLAY_CLASS = "0x03"


def disk(directory: Path, least_gib: float) -> Finding:
    """Whether there is room for weights, engines and queues."""
    at = next(path for path in (directory, *directory.resolve().parents) if path.exists())
    free_gib = shutil.disk_usage(at).free / _GIB
    if not os.access(at, os.W_OK):
        advice = "choose another folder with --data-dir"
        return Finding("disk", Level.FAILURE, f"{at} cannot be written", advice)
    message = f"{free_gib:.1f} GiB free in {at}"
    if free_gib < least_gib:
        advice = "make room, or put the data elsewhere: --data-dir, SIE_CACHE_DIR"
        return Finding("disk", Level.FAILURE, f"{message}, less than {least_gib:g}", advice)
    return Finding("disk", Level.OK, message)


def processes(
    found: Mapping[str, Mapping[str, int]], logs: Path, tls: ssl.SSLContext
) -> Iterable[Finding]:
    """Whether each process of a local stack listens and says that it is ready.

    Args:
        found: ports by name, as the stack has written them.
        logs: where their logs are.
        tls: for those that serve it.
    """
    ports = []
    for name, entry in found.items():
        ports.append(f"{name} {entry['port']}")
        log = f"see {logs / name}.log"
        if not listening(HOST, entry["port"])():
            message = f"{name} does not listen on {entry['port']}"
            yield Finding("ports", Level.FAILURE, message, f"start the stack: sie up; {log}")
        elif name != "broker" and (
            reasons := _reasons(entry["port"], tls if entry.get("tls") else None)
        ):
            yield Finding("processes", Level.FAILURE, f"{name}: {'; '.join(reasons)}", log)
    yield Finding("ports", Level.OK, ", ".join(ports))


def _reasons(port: int, tls: ssl.SSLContext | None) -> list[str]:
    try:
        answer = http_get(HOST, port, "/readyz", tls=tls)
        reasons: list[str] = answer.json().get("reasons", [])
    except (OSError, HTTPException, ValueError, AttributeError) as error:
        return [f"/readyz on port {port}: {error or type(error).__name__}"]
    return reasons


def gpu() -> Finding:
    """Whether a GPU that is here can be computed with."""
    engines = [kind for kind in ENGINES.values() if not kind.on_cpu]
    usable = [kind.name for kind in engines if not kind.missing()]
    if not _DRIVER.exists():
        if _has_nvidia_card():
            advice = "install NVIDIA's driver, and see that nvidia-smi works"
            return Finding("gpu", Level.FAILURE, "an NVIDIA GPU without a driver", advice)
        return Finding("gpu", Level.OK, "none on this machine; workers compute on its CPU")
    try:
        named = _nvidia_smi()
    except (OSError, subprocess.SubprocessError) as error:
        advice = "driver and libraries disagree, or the device was lost: see dmesg, restart it"
        return Finding("gpu", Level.FAILURE, f"nvidia-smi fails: {error}", advice)
    if not usable:
        reasons = "; ".join(sorted({kind.missing() for kind in engines}))
        advice = "install requirements/images/worker-cuda12.txt in place of the CPU's onnxruntime"
        return Finding("gpu", Level.FAILURE, f"{named}, and no engine for it: {reasons}", advice)
    return Finding("gpu", Level.OK, f"{named}; engines {', '.join(usable)}")


def _has_nvidia_card() -> bool:
    for device in _PCI.glob("*"):
        try:
            vendor = (device / "vendor").read_text().strip()
            kind = (device / "class").read_text()
        except OSError:
            continue
        if vendor == _NVIDIA_VENDOR and kind.startswith(_DISPLAY_CLASS):
            return True
    return False


def _nvidia_smi() -> str:
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    done = subprocess.run(query, check=True, capture_output=True, text=True, timeout=10)
    return "; ".join(done.stdout.strip().splitlines())

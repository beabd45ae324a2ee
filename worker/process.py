"""The process of a worker: pulls work of its lane and computes it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from importlib.metadata import version

import uvloop
from prometheus_client import REGISTRY

from servicekit import logs
from servicekit.build_info import show_build
from servicekit.lifecycle import end, until_signal
from servicekit.settings import SettingsError, describe, from_environment
from servicekit.tracing import Tracer, open_tracer
from worker.settings import Settings
from worker.start_clock import StartClock
from worker.worker import open_worker

log = logging.getLogger("worker")


async def run(settings: Settings, tracer: Tracer, start: StartClock) -> None:
    async with open_worker(settings, tracer, start) as worker:
        # What is in hand is kept and told of until it is answered; models come and go until then.
        lasting = [asyncio.create_task(work) for work in worker.lasting()]
        serving = asyncio.create_task(worker.serve())
        try:
            await until_signal(serving, *lasting)
            await end(serving)
            await worker.finish()
        finally:
            await end(serving, *lasting)


def main() -> None:
    start = StartClock.of_process()
    start.passed("import")
    try:
        settings = from_environment(Settings)
        logs.configure(settings.log_level, as_json=settings.log_json, process="worker")
        log.info("starting", extra={"fields": describe(settings)})
        show_build(REGISTRY)
        tracer = open_tracer(settings, "sie-worker", settings.worker_id, version("sie"))
        with contextlib.closing(tracer):
            uvloop.run(run(settings, tracer, start))
    except (SettingsError, OSError) as error:
        sys.exit(f"worker: {error}")

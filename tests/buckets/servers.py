"""Servers of the protocols of S3 and GCS on this machine, each with an empty bucket."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import boto3
from gcp_storage_emulator.server import create_server
from moto.server import ThreadedMotoServer

from cli.ports import HOST, free_port

BUCKET = "bucket"


class Server(NamedTuple):
    """Where a bucket is, and the environment in which a process reaches it."""

    url: str
    env: dict[str, str]


@contextlib.contextmanager
def s3() -> Iterator[Server]:
    server = ThreadedMotoServer(ip_address=HOST, port=free_port(), verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    env = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    ).create_bucket(Bucket=BUCKET)
    try:
        yield Server(f"s3://{BUCKET}", env)
    finally:
        server.stop()


@contextlib.contextmanager
def gcs() -> Iterator[Server]:
    port = free_port()
    server = create_server(HOST, port, in_memory=True, default_bucket=BUCKET)
    server.start()
    # The kind of a bucket is asked over gRPC, which this server does not speak.
    env = {
        "STORAGE_EMULATOR_HOST": f"http://{HOST}:{port}",
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
    }
    try:
        yield Server(f"gs://{BUCKET}", env)
    finally:
        server.stop()

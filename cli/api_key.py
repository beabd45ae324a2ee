"""The token under which `sie` asks gateways."""

import os


def api_key() -> str:
    """What SIE_API_KEY says; empty where callers need none."""
    return os.environ.get("SIE_API_KEY", "")

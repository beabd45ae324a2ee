"""Encodes a sentence through the gateway, waiting for a first worker where there is none.

The gateway's certificate is not checked: it names the address that callers use, and this pod uses
another.
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

_WAIT_S = 5.0
_RETRYABLE = (429, 503, 504)


def tls() -> ssl.SSLContext:
    """What to speak TLS with; shows a certificate where there is one."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate := os.environ.get("CERTIFICATE"):
        context.load_cert_chain(certificate, os.environ["PRIVATE_KEY"])
    return context


def ask(
    url: str, model: str, headers: dict[str, str], context: ssl.SSLContext
) -> tuple[int, bytes]:
    """Status and body of one request."""
    body = json.dumps({"items": [{"text": "Hello world"}]}).encode()
    request = urllib.request.Request(f"{url}/v1/encode/{model}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60, context=context) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError as error:
        return 503, str(error).encode()


def main() -> None:
    headers = {"Content-Type": "application/json"}
    if profile := os.environ.get("MACHINE_PROFILE"):
        headers["X-SIE-MACHINE-PROFILE"] = profile
    if tokens := os.environ.get("TOKENS"):
        headers["Authorization"] = f"Bearer {tokens.split(',')[0].strip()}"
    context = tls()
    end = time.monotonic() + float(os.environ["TIMEOUT_SECONDS"])
    while True:
        status, body = ask(os.environ["URL"], os.environ["MODEL"], headers, context)
        if status == 200:
            break
        text = body.decode(errors="replace")
        if (status != 202 and status not in _RETRYABLE) or time.monotonic() > end:
            sys.exit(f"{status}: {text}")
        print(f"{status}, trying again: {text}", flush=True)
        time.sleep(_WAIT_S)
    item = json.loads(body)["items"][0]
    outputs = [name for name in ("dense", "sparse", "multivector") if item.get(name)]
    if not outputs:
        sys.exit(f"no vector in the reply: {body[:500]!r}")
    print(f"encoded: {', '.join(outputs)}, {item['input_tokens']} tokens")


if __name__ == "__main__":
    main()

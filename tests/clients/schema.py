"""Asks what /openapi.json allows, and more, and compares each answer with it.

python schema.py URL MODEL SEED EXAMPLES

Half of the requests are as the document says, half break it in one place; half of those that
name a model name MODEL, so that they reach a worker. Prints JSON: operations, requests, the
statuses of answers, and what went wrong: a 5xx, or an answer that the document does not describe.
"""

import json
import sys
from collections import Counter
from contextlib import suppress
from random import Random

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import checks
from schemathesis.checks import load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks as conformance

CHECKS = [
    checks.not_a_server_error,
    conformance.status_code_conformance,
    conformance.content_type_conformance,
    conformance.response_schema_conformance,
    conformance.response_headers_conformance,
]
# Those that change what others find come last.
LAST = ("/v1/configs", "/v1/pools", "/v1/admin")
# With these a 504 or a 503 can be right.
DECIDED = ("X-Request-Timeout", "X-SIE-MACHINE-PROFILE")
# These say by their 501 that they are not provided.
NOT_PROVIDED = frozenset(
    {"/v2/repository/models/{model}/load", "/v2/repository/models/{model}/unload"}
)
TIMEOUT_S = 20


def main() -> None:
    url, model, number, examples = sys.argv[1:]
    load_all_checks()
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    found = list(schema.get_all_operations())
    broken = [str(each.err()) for each in found if not hasattr(each, "ok")]
    if broken:
        sys.exit("\n".join(broken))
    operations = [each.ok() for each in found if each.ok().path not in NOT_PROVIDED]
    operations.sort(key=lambda each: (each.path.startswith(LAST), each.method != "post"))
    run = Run(url, model, int(number))
    for operation in operations:
        # Without a body or a query there is next to nothing to break, and it takes long to see.
        modes = GenerationMode if operation.body or operation.query else [GenerationMode.POSITIVE]
        for mode in modes:
            run.operation(operation, mode, int(examples))
    json.dump(
        {
            "operations": len(operations),
            "requests": run.statuses.total(),
            "statuses": dict(run.statuses),
            "failures": list(run.failures.values()),
        },
        sys.stdout,
    )


class Run:
    def __init__(self, url: str, model: str, number: int) -> None:
        self.statuses: Counter[int] = Counter()
        self.failures: dict[tuple[str, str], dict[str, str]] = {}
        self._url = url
        self._model = model
        self._number = number
        self._random = Random(number)
        self._session = requests.Session()
        self._session.trust_env = False

    def operation(self, operation, mode: GenerationMode, examples: int) -> None:
        @seed(self._number)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case) -> None:
            self._ask(operation.label, case)

        # Some operations cannot be broken.
        with suppress(Unsatisfiable):
            ask()

    def _ask(self, label: str, case) -> None:
        for name in DECIDED:
            case.headers.pop(name, None)
        if self._random.random() < 0.5:
            self._name_model(case)
        response = case.call(self._url, session=self._session, timeout=TIMEOUT_S)
        self.statuses[response.status_code] += 1
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as group:
            for failure in group.exceptions:
                self._failed(label, failure.title, case, f"{failure.message}", response)

    def _name_model(self, case) -> None:
        for values in (case.path_parameters, case.body):
            for name in ("model", "model_id", "model_name"):
                if isinstance(values, dict) and name in values:
                    values[name] = self._model

    def _failed(self, label, title, case, message, response) -> None:
        self.failures.setdefault(
            (label, title),
            {
                "operation": label,
                "title": title,
                "message": message[:1500],
                "request": case.as_curl_command()[:1500],
                "status": response.status_code,
                "answer": response.text[:600],
            },
        )


if __name__ == "__main__":
    main()

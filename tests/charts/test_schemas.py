"""Every rendered object is what its API says."""

from functools import cache
from typing import Any

import pytest
import yaml

from tests.charts.rendering import CHART, ROOT, WORKED_VALUES, Object, render, tool

jsonschema = pytest.importorskip("jsonschema", reason="`make tools` installs what checks objects")
kubernetes_validate = pytest.importorskip(
    "kubernetes_validate", reason="`make tools` installs what checks objects"
)

_EVERYTHING = """
workers:
  common:
    imagePrepull: {enabled: true}
    cachePersistence: {enabled: true}
gateway:
  autoscaling: {mode: cpu}
  auth: {mode: static, tokenFileSecretName: tenants, metricsTokenSecretName: scrapers}
  tls:
    secretName: certificate
    clientCaSecretName: callers
    clientCertSecretName: prometheus
    serverName: sie.example.com
  batches: {places: ["gs://bucket/{tenant}/"]}
  serviceAccountAnnotations: {iam.gke.io/gcp-service-account: a@b}
config: {replicas: 2, serviceAccountAnnotations: {iam.gke.io/gcp-service-account: a@b}}
payloadStore: {enabled: true, url: "gs://bucket/payloads"}
fileStore: {enabled: true, url: "gs://bucket/files"}
tracing: {endpoint: "http://collector.monitoring:4318", headersSecretName: collector}
networkPolicy:
  tracingTo: [{namespaceSelector: {}}]
  gatewayExtraEgress: [{ports: [{port: 9000}]}]
  configExtraEgress: [{ports: [{port: 9000}]}]
ingress: {enabled: true, host: a.example.com, tls: {enabled: true}}
auth: {enabled: true, oauth2Proxy: {oidcIssuerUrl: "https://issuer.example.com"}}
hfToken: {create: true, value: secret}
serviceMonitor: {enabled: true}
alertRules: {enabled: true, runbookUrl: "https://example.com/"}
dashboards: {enabled: true}
"""
_CRDS = {
    "ScaledObject": "keda.sh_scaledobjects.yaml",
    "ServiceMonitor": "monitoring.coreos.com_servicemonitors.yaml",
    "PrometheusRule": "monitoring.coreos.com_prometheusrules.yaml",
}


@cache
def crd_schema(kind: str) -> Object:
    """The schema of a custom kind in which unknown fields are errors, as `kubectl` sees them."""
    file = ROOT / "tests" / "charts" / "crds" / _CRDS[kind]
    crd = yaml.load(file.read_text(), yaml.CSafeLoader)
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["metadata"]["x-kubernetes-preserve-unknown-fields"] = True
    return _strict(schema)


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items()}
    if strict.pop("x-kubernetes-int-or-string", False) is True:
        strict["type"] = ["integer", "string"]
    is_object = isinstance(strict.get("properties"), dict) and strict.get("type") == "object"
    if is_object and not strict.get("x-kubernetes-preserve-unknown-fields"):
        strict.setdefault("additionalProperties", False)
    return strict


def check(each: Object) -> None:
    if each["kind"] in _CRDS:
        jsonschema.Draft7Validator(crd_schema(each["kind"])).validate(each)
    else:
        kubernetes_validate.validate(each, "1.31", strict=True)


@pytest.mark.parametrize("worked", WORKED_VALUES)
def test_objects_of_worked_values_are_valid(worked: str) -> None:
    for each in render(worked):
        check(each)


def test_objects_of_every_option_are_valid() -> None:
    for each in render("cpu", values=_EVERYTHING):
        check(each)


@pytest.mark.parametrize("kind", ["ScaledObject", "StatefulSet", "PrometheusRule"])
def test_the_check_itself_finds_an_unknown_field(kind: str) -> None:
    each = next(each for each in render("gke") if each["kind"] == kind)
    broken = {**each, "spec": {**each["spec"], "replcas": 3}}
    with pytest.raises(Exception, match="replcas"):
        check(broken)


@pytest.mark.parametrize("worked", WORKED_VALUES)
def test_lint(worked: str) -> None:
    import subprocess

    command = [tool("helm"), "lint", "--strict", str(CHART)]
    done = subprocess.run(
        [*command, "-f", str(CHART / "values" / f"{worked}.yaml")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr

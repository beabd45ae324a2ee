"""What the chart tells a service is what that service reads."""

import dataclasses

import pytest

import config_service.__main__
import gateway.__main__
import worker.__main__
from servicekit.settings import from_environment
from tests.charts.rendering import WORKED_VALUES, environment, pod_specs, render

_SETTINGS = {
    "gateway": gateway.__main__.Settings,
    "config": config_service.__main__.Settings,
    "worker": worker.__main__.Settings,
}
# Only a part of another variable's value.
_PARTS = {"SIE_NATS_PASSWORD"}


def _variables(settings: type) -> set[str]:
    return {field.metadata["variable"] for field in dataclasses.fields(settings)}


_EVERY_SETTING = (
    "gateway.auth.tokenFileSecretName=tenants",
    "gateway.auth.metricsTokenSecretName=scrapers",
    "gateway.tls.secretName=certificate",
    "gateway.tls.clientCaSecretName=callers",
    "hfToken.existingSecret=hub",
    "workers.common.pool=own",
)


@pytest.mark.parametrize("sets", [(), _EVERY_SETTING])
@pytest.mark.parametrize("worked", WORKED_VALUES)
def test_each_variable_is_a_setting_and_parses(worked: str, sets: tuple[str, ...]) -> None:
    seen = set()
    for spec in pod_specs(render(worked, *sets)).values():
        for container in spec["containers"]:
            if (settings := _SETTINGS.get(container["name"])) is None:
                continue
            seen.add(container["name"])
            variables = environment(container)
            known = _variables(settings) | _PARTS
            assert variables.keys() <= known, variables.keys() - known
            from_environment(settings, variables)
    assert seen == set(_SETTINGS)


def test_a_variable_is_set_before_it_is_used() -> None:
    for spec in pod_specs(render("gke")).values():
        for container in spec["containers"]:
            names = [each["name"] for each in container.get("env", [])]
            if "SIE_NATS_PASSWORD" in names:
                assert names.index("SIE_NATS_PASSWORD") < names.index("SIE_NATS_URL")


def test_workers_say_which_lane_is_theirs() -> None:
    variables = environment(
        pod_specs(render("gke"))["sie-sie-cluster-worker-l4-spot"]["containers"][0]
    )
    assert variables["SIE_MACHINE_PROFILE"] == "l4-spot"
    assert variables["SIE_BUNDLE"] == "default"
    assert "SIE_POOL" not in variables, "a worker with a pool of its own cannot be reserved"


def test_a_pool_can_serve_another_bundle() -> None:
    objects = render("gke", "workers.pools.a100-80gb.bundle=large")
    variables = environment(pod_specs(objects)["sie-sie-cluster-worker-a100-80gb"]["containers"][0])
    assert variables["SIE_BUNDLE"] == "large"
    definitions = next(
        each for each in objects if each["metadata"]["name"] == "sie-sie-cluster-definitions"
    )
    assert "bundles__large.yaml" in definitions["data"]


def test_another_broker_can_be_named_by_a_secret() -> None:
    objects = render("cpu", "nats.install=false", "nats.urlSecretName=broker")
    variables = environment(pod_specs(objects)["sie-sie-cluster-gateway"]["containers"][0])
    assert "'name': 'broker'" in variables["SIE_NATS_URL"]
    assert "SIE_NATS_PASSWORD" not in variables


def test_probes_do_not_need_a_certificate_that_a_kubelet_has_none_of() -> None:
    tls = ("gateway.tls.secretName=certificate", "gateway.tls.clientCaSecretName=callers")
    (gateway,) = pod_specs(render("cpu", *tls))["sie-sie-cluster-gateway"]["containers"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert gateway[probe]["tcpSocket"] == {"port": "http"}
    mounts = {mount["name"]: mount["mountPath"] for mount in gateway["volumeMounts"]}
    assert environment(gateway)["SIE_TLS_CLIENT_CA"].startswith(mounts["client-ca"])
    (plain,) = pod_specs(render("cpu", tls[0]))["sie-sie-cluster-gateway"]["containers"]
    assert plain["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"

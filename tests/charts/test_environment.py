"""What the chart tells a service is what that service reads."""

import dataclasses
from collections.abc import Mapping

import pytest

import config_service.settings
import gateway.settings
import worker.settings
from servicekit.settings import from_environment
from tests.charts.rendering import WORKED_VALUES, Object, environment, pod_specs, render

_SETTINGS = {
    "gateway": gateway.settings.Settings,
    "config": config_service.settings.Settings,
    "worker": worker.settings.Settings,
}
# Only a part of another variable's value, and what OpenTelemetry reads itself.
_OTHERS = {
    "SIE_NATS_PASSWORD",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_EXPORTER_OTLP_HEADERS",
}
# Settings that a chart has no value for, and why.
_NOT_IN_A_CLUSTER = {
    "SIE_SHARE_PORTS": "each gateway has a pod of its own",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "there are only traces, so the other endpoint will do",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "there is only one",
    "OTEL_SDK_DISABLED": "no endpoint means no traces",
}
# Where a cluster wants another default than a process that is started by hand.
_OTHER_DEFAULTS = {
    "SIE_HOST",
    "SIE_NATS_URL",
    "SIE_CONFIG_ADDRESS",
    "SIE_LOG_JSON",
    "SIE_STATE_DIR",
    "SIE_CACHE_DIR",
    "SIE_WORKER_ID",
    "SIE_MODELS_DIR",
    "SIE_BUNDLES_DIR",
    "SIE_MACHINE_PROFILES_DIR",
    "SIE_STREAM_STORAGE",
}


def _variables(settings: type) -> set[str]:
    return {field.metadata["variable"] for field in dataclasses.fields(settings)}


_EVERY_SETTING = (
    "gateway.auth.mode=static",
    "gateway.auth.tokenSecretName=tokens",
    "workers.common.clusterCache.enabled=true",
    "workers.common.clusterCache.url=gs://bucket/models",
    "payloadStore.enabled=true",
    "payloadStore.url=s3://bucket/payloads",
    "fileStore.enabled=true",
    "fileStore.url=gs://bucket/files",
    "gateway.batches.places[0]=gs://bucket/in/",
    "tracing.endpoint=http://collector:4318",
    "tracing.headersSecretName=collector",
    "gateway.tls.clientCertSecretName=prometheus",
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
            known = _variables(settings) | _OTHERS
            assert variables.keys() <= known, variables.keys() - known
            from_environment(settings, variables)
    assert seen == set(_SETTINGS)


def _services(objects: list[Object]) -> dict[str, Mapping[str, str]]:
    """What each service is told, a worker being one of them."""
    return {
        container["name"]: environment(container)
        for spec in pod_specs(objects).values()
        for container in spec["containers"]
        if container["name"] in _SETTINGS
    }


def test_every_setting_has_a_value_in_the_chart_or_a_reason_for_none() -> None:
    told = _services(render("gke", *_EVERY_SETTING))
    for name, settings in _SETTINGS.items():
        missing = _variables(settings) - told[name].keys() - _NOT_IN_A_CLUSTER.keys()
        assert not missing, f"{name} reads {missing}: give the chart values for them"
        assert not told[name].keys() & _NOT_IN_A_CLUSTER.keys(), name


def test_defaults_of_the_chart_are_those_of_the_services() -> None:
    told = _services(render("", "workers.pools.cpu.enabled=true"))
    for name, cls in _SETTINGS.items():
        given, own = from_environment(cls, told[name]), cls()
        differ = {
            field.metadata["variable"]
            for field in dataclasses.fields(cls)
            if getattr(given, field.name) != getattr(own, field.name)
        }
        assert differ <= _OTHER_DEFAULTS, (name, differ - _OTHER_DEFAULTS)


def test_lists_are_told_as_they_are_read() -> None:
    values = """
gateway:
  defaultModels: [a/b, c/d]
  batches: {places: ["gs://bucket/{tenant}/", "s3://other/in/"], maxFileBytes: 1000000000}
"""
    told = _services(render("gke", values=values))["gateway"]
    settings = from_environment(gateway.settings.Settings, told)
    assert settings.default_models == ("a/b", "c/d")
    assert settings.batch_places == ("gs://bucket/{tenant}/", "s3://other/in/")
    assert settings.max_file_bytes == 1_000_000_000


def test_the_config_service_is_told_which_pools_workers_are_dedicated_to() -> None:
    values = """
workers:
  common: {pool: own}
  pools: {cpu: {enabled: true}, l4: {enabled: true, pool: other}}
"""
    told = _services(render("", values=values))["config"]
    settings = from_environment(config_service.settings.Settings, told)
    assert settings.dedicated == ("other", "own")


def test_stores_of_gateways_workers_and_the_config_service_are_the_same() -> None:
    told = _services(render("gke", *_EVERY_SETTING))
    assert {each["SIE_PAYLOAD_STORE"] for each in told.values()} == {"s3://bucket/payloads"}
    assert {told[name]["SIE_FILE_STORE"] for name in ("gateway", "config")} == {"gs://bucket/files"}


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

"""What rendered objects promise: security, probes, disruption, networks, placement."""

import json

import pytest
import yaml

from cli.broker import MAX_PAYLOAD_BYTES
from tests.charts.rendering import (
    CHART,
    WORKED_VALUES,
    Object,
    environment,
    of_kind,
    pod_specs,
    render,
)

_OURS = {"gateway", "config", "worker"}


@pytest.mark.parametrize("worked", WORKED_VALUES)
def test_no_container_runs_as_root_or_writes_to_its_image(worked: str) -> None:
    specs = pod_specs(render(worked, "workers.common.imagePrepull.enabled=true"))
    for name, spec in specs.items():
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is False, name
        for container in spec["containers"] + spec.get("initContainers", []):
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True, name
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert "memory" in container["resources"]["requests"], name


@pytest.mark.parametrize("worked", WORKED_VALUES)
def test_no_image_floats(worked: str) -> None:
    for spec in pod_specs(render(worked)).values():
        for container in spec["containers"]:
            tag = container["image"].rpartition(":")[2]
            assert tag not in {"", "latest"}, container["image"]
            assert "/" not in tag, container["image"]


def test_an_image_can_be_named_by_its_digest() -> None:
    digest = "sha256:" + "0" * 64
    specs = pod_specs(render("gke", f"gateway.image.digest={digest}"))
    image = specs["sie-sie-cluster-gateway"]["containers"][0]["image"]
    assert image == f"ghcr.io/superlinked/sie-gateway@{digest}"


def test_probes_have_their_own_meanings() -> None:
    for spec in pod_specs(render("gke")).values():
        for container in spec["containers"]:
            if container["name"] not in _OURS:
                continue
            assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
            assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
            assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
            ports = {port["name"] for port in container["ports"]}
            assert container["readinessProbe"]["httpGet"]["port"] in ports


def test_a_drain_fits_into_the_grace_period() -> None:
    specs = pod_specs(render("gke", "gateway.drainSeconds=40", "gateway.preStopSeconds=15"))
    gateway = specs["sie-sie-cluster-gateway"]
    container = gateway["containers"][0]
    announced = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = float(environment(container)["SIE_DRAIN_S"])
    assert gateway["terminationGracePeriodSeconds"] > announced + drain


@pytest.mark.parametrize("worked", WORKED_VALUES)
def test_each_pod_is_selected_by_its_owner_budget_and_policy(worked: str) -> None:
    objects = render(worked)
    owners = of_kind(objects, "Deployment", "StatefulSet")
    labels = {
        name: owner["spec"]["template"]["metadata"]["labels"] for name, owner in owners.items()
    }
    for name, owner in owners.items():
        assert owner["spec"]["selector"]["matchLabels"].items() <= labels[name].items()
        others = [each for each in labels if each != name]
        chosen = owner["spec"]["selector"]["matchLabels"].items()
        assert not [each for each in others if chosen <= labels[each].items()], name
    budgets = of_kind(objects, "PodDisruptionBudget")
    assert budgets.keys() == owners.keys() - {"sie-sie-cluster-config"}
    policies = of_kind(objects, "NetworkPolicy").values()
    for name in owners:
        matching = [
            policy
            for policy in policies
            if policy["spec"]["podSelector"]["matchLabels"].items() <= labels[name].items()
        ]
        assert len(matching) == 1, name


def _peers(rule: Object) -> set[str]:
    found = set()
    for peer in rule.get("from", []) + rule.get("to", []):
        labels = peer.get("podSelector", {}).get("matchLabels", {})
        found.add(labels.get("app.kubernetes.io/component", "elsewhere"))
    return found


def _allowed(policy: Object, direction: str, port: int) -> set[str]:
    rules = [
        rule
        for rule in policy["spec"][direction]
        if port in [each["port"] for each in rule.get("ports", [])]
    ]
    return set().union(*map(_peers, rules))


def test_nobody_speaks_to_whom_they_need_not() -> None:
    policies = of_kind(render("gke"), "NetworkPolicy")
    nats, config = policies["sie-sie-cluster-nats"], policies["sie-sie-cluster-config"]
    assert _allowed(nats, "ingress", 4222) == {"gateway", "config", "worker"}
    assert _allowed(nats, "ingress", 6222) == {"nats"}
    assert _allowed(config, "ingress", 9091) == {"gateway", "worker"}
    worker = policies["sie-sie-cluster-worker"]
    assert [_peers(rule) for rule in worker["spec"]["ingress"]] == [{"elsewhere"}]
    for name in ("gateway", "worker"):
        policy = policies[f"sie-sie-cluster-{name}"]
        assert _allowed(policy, "egress", 4222) == {"nats"}
        assert _allowed(policy, "egress", 9091) == {"config"}


def test_services_reach_ports_that_pods_have() -> None:
    objects = render("gke")
    specs = {
        name: (owner["spec"]["template"]["metadata"]["labels"], owner["spec"]["template"]["spec"])
        for name, owner in of_kind(objects, "Deployment", "StatefulSet").items()
    }
    for name, service in of_kind(objects, "Service").items():
        chosen = service["spec"]["selector"].items()
        pods = [spec for labels, spec in specs.values() if chosen <= labels.items()]
        assert pods, name
        for spec in pods:
            ports = {port["name"] for port in spec["containers"][0]["ports"]}
            assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_a_monitor_selects_its_own_service_only() -> None:
    objects = render("gke")
    services = of_kind(objects, "Service")
    for name, monitor in of_kind(objects, "ServiceMonitor").items():
        chosen = monitor["spec"]["selector"]["matchLabels"].items()
        found = [
            each for each in services if chosen <= services[each]["metadata"]["labels"].items()
        ]
        assert found == [name], "the job label of its series is the service's name"


def test_spot_pools_go_to_spot_nodes_and_gpus_to_gpu_nodes() -> None:
    specs = pod_specs(render("gke"))
    spot, plain = (specs[f"sie-sie-cluster-worker-{name}"] for name in ("l4-spot", "l4"))
    assert spot["nodeSelector"]["cloud.google.com/gke-spot"] == "true"
    assert "cloud.google.com/gke-spot" not in plain["nodeSelector"]
    tolerated = {each["key"] for each in spot["tolerations"]}
    assert tolerated == {"nvidia.com/gpu", "cloud.google.com/gke-spot"}
    resources = spot["containers"][0]["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == resources["requests"]["nvidia.com/gpu"] == "1"
    assert resources["requests"]["memory"] == "16Gi"


def test_a_gpu_can_be_parted_or_shared() -> None:
    pool = "workers.pools.a100-80gb.gpu"
    mig = pod_specs(render("gke", f"{pool}.migPartitionSize=1g.10gb"))
    shared = pod_specs(render("gke", f"{pool}.timeSharingClients=4"))
    named = pod_specs(render("gke", f"{pool}.resourceName=nvidia.com/mig-1g.10gb"))
    name = "sie-sie-cluster-worker-a100-80gb"
    assert mig[name]["nodeSelector"]["cloud.google.com/gke-gpu-partition-size"] == "1g.10gb"
    selector = shared[name]["nodeSelector"]
    assert selector["cloud.google.com/gke-max-shared-clients-per-gpu"] == "4"
    assert selector["cloud.google.com/gke-gpu-sharing-strategy"] == "time-sharing"
    limits = named[name]["containers"][0]["resources"]["limits"]
    assert limits == {"nvidia.com/mig-1g.10gb": "1"}


def test_one_gpu_outside_a_cloud_chooses_no_node_of_gke() -> None:
    assert "nodeSelector" not in pod_specs(render("gpu"))["sie-sie-cluster-worker-l4"]


def test_production_keeps_streams_in_files_three_times() -> None:
    specs = pod_specs(render("gke"))
    variables = environment(specs["sie-sie-cluster-config"]["containers"][0])
    assert (variables["SIE_STREAM_STORAGE"], variables["SIE_STREAM_REPLICAS"]) == ("file", "3")
    broker = of_kind(render("gke"), "StatefulSet")["sie-sie-cluster-nats"]["spec"]
    assert broker["replicas"] == 3
    assert broker["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "premium-rwo"


def test_the_broker_takes_messages_as_long_as_the_local_one() -> None:
    config = of_kind(render("gke"), "ConfigMap")["sie-sie-cluster-nats"]["data"]["nats.conf"]
    assert f"max_payload: {MAX_PAYLOAD_BYTES // 2**20}MB" in config


def test_no_account_has_rights() -> None:
    objects = render("gke")
    assert not of_kind(objects, "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
    accounts = {
        spec["serviceAccountName"]
        for spec in pod_specs(objects).values()
        if "serviceAccountName" in spec
    }
    assert accounts == {"sie-server"} | {
        f"sie-sie-cluster-{name}" for name in ("gateway", "config", "nats")
    }
    assert of_kind(objects, "ServiceAccount").keys() == accounts


def test_tokens_come_from_secrets() -> None:
    objects = render("gke", "hfToken.create=true", "hfToken.value=hf_abc")
    specs = pod_specs(objects)
    gateway = environment(specs["sie-sie-cluster-gateway"]["containers"][0])
    assert gateway["SIE_AUTH_MODE"] == "static"
    assert "sie-auth-tokens" in gateway["SIE_AUTH_TOKEN"]
    assert "hf_abc" not in json.dumps(specs)
    assert of_kind(objects, "Secret")["sie-sie-cluster-hf-token"]["stringData"] == {
        "HF_TOKEN": "hf_abc"
    }


def test_a_gateway_with_tls_is_probed_scraped_and_reached_by_it() -> None:
    objects = render(
        "gke", "gateway.tls.secretName=own", "gateway.auth.metricsTokenSecretName=scrapers"
    )
    spec = pod_specs(objects)["sie-sie-cluster-gateway"]
    container = spec["containers"][0]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["scheme"] == "HTTPS"
    mounted = {each["name"] for each in container["volumeMounts"]}
    assert mounted == {each["name"] for each in spec["volumes"]} >= {"tls"}
    endpoint = of_kind(objects, "ServiceMonitor")["sie-sie-cluster-gateway"]["spec"]["endpoints"][0]
    assert endpoint["scheme"] == "https"
    assert endpoint["authorization"]["credentials"] == {"name": "scrapers", "key": "token"}
    protocols = [
        each["metadata"]["annotations"]["nginx.ingress.kubernetes.io/backend-protocol"]
        for each in of_kind(objects, "Ingress").values()
    ]
    assert sorted(protocols) == ["GRPCS", "HTTPS"]


def test_images_are_pulled_once_for_pools_on_the_same_nodes() -> None:
    sets = ["workers.common.imagePrepull.enabled=true", "workers.pools.l4-spot.nodeSelector=null"]
    daemons = of_kind(render("gke", sets[0]), "DaemonSet")
    assert daemons.keys() == {
        f"sie-sie-cluster-prepull-{name}" for name in ("l4", "l4-spot", "a100-80gb")
    }
    twice = render(
        "gke", sets[0], "workers.pools.l4.bundle=large", "machineProfiles.l4-spot.spot=false"
    )
    assert len(of_kind(twice, "DaemonSet")) == 2


def test_sign_in_protects_the_ingress_and_not_itself() -> None:
    sets = ("gateway.auth.mode=none", "ingress.grpcHost=", "auth.enabled=true")
    objects = render("gke", *sets, "auth.oauth2Proxy.oidcIssuerUrl=https://issuer.example.com")
    ingresses = of_kind(objects, "Ingress")
    annotations = ingresses["sie-sie-cluster"]["metadata"]["annotations"]
    assert "oauth2-proxy.sie.svc" in annotations["nginx.ingress.kubernetes.io/auth-url"]
    assert "annotations" not in ingresses["sie-sie-cluster-oauth2"]["metadata"]


@pytest.mark.parametrize(
    ("value", "variable"),
    [
        ("gateway.maxRequestBytes", "SIE_MAX_REQUEST_BYTES"),
        ("gateway.batches.maxFileBytes", "SIE_MAX_FILE_BYTES"),
    ],
)
def test_the_ingress_lets_through_what_the_gateway_takes(value: str, variable: str) -> None:
    objects = render("gke", f"{value}=333554432")
    annotations = of_kind(objects, "Ingress")["sie-sie-cluster"]["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == "333554432"
    variables = environment(pod_specs(objects)["sie-sie-cluster-gateway"]["containers"][0])
    assert variables[variable] == "333554432"


def test_services_reach_the_buckets_that_they_use_and_no_others() -> None:
    def reaches(*sets: str) -> set[str]:
        policies = of_kind(render("gke", *sets), "NetworkPolicy")
        return {
            name.removeprefix("sie-sie-cluster-")
            for name, each in policies.items()
            for rule in each["spec"]["egress"]
            if any("ipBlock" in to for to in rule.get("to", []))
        }

    assert reaches() == {"worker"}
    payloads = ("payloadStore.enabled=true", "payloadStore.url=gs://bucket/payloads")
    assert reaches(*payloads) == {"worker", "gateway", "config"}
    assert reaches("gateway.batches.places[0]=gs://bucket/in/") == {"worker", "gateway"}


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("http://collector.monitoring:4318", 4318),
        ("https://otlp.example.com", 443),
        ("http://collector/v1", 80),
    ],
)
def test_traces_reach_their_collector(address: str, port: int) -> None:
    policies = of_kind(render("gke", f"tracing.endpoint={address}"), "NetworkPolicy")
    for name in ("gateway", "worker"):
        egress = policies[f"sie-sie-cluster-{name}"]["spec"]["egress"]
        assert {"ports": [{"port": port}]} in egress, name


_MUTUAL_TLS = (
    "gateway.tls.secretName=own",
    "gateway.tls.clientCaSecretName=callers",
    "gateway.tls.clientCertSecretName=prometheus",
)


def test_prometheus_shows_a_certificate_where_callers_must() -> None:
    monitors = of_kind(render("gke", *_MUTUAL_TLS), "ServiceMonitor")
    (endpoint,) = monitors["sie-sie-cluster-gateway"]["spec"]["endpoints"]
    assert endpoint["tlsConfig"] == {
        "insecureSkipVerify": True,
        "cert": {"secret": {"name": "prometheus", "key": "tls.crt"}},
        "keySecret": {"name": "prometheus", "key": "tls.key"},
    }
    objects = render("gke", *_MUTUAL_TLS, "gateway.tls.serverName=sie.example.com")
    (endpoint,) = of_kind(objects, "ServiceMonitor")["sie-sie-cluster-gateway"]["spec"]["endpoints"]
    tls = endpoint["tlsConfig"]
    assert "insecureSkipVerify" not in tls
    assert tls["serverName"] == "sie.example.com"
    assert tls["ca"] == {"secret": {"name": "own", "key": "ca.crt"}}


def test_the_helm_test_shows_a_certificate_where_callers_must() -> None:
    spec = pod_specs(render("gke", *_MUTUAL_TLS))["sie-sie-cluster-test-encode"]
    (container,) = spec["containers"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert environment(container)["CERTIFICATE"] == f"{mounts['certificate']}/tls.crt"
    volume = next(each for each in spec["volumes"] if each["name"] == "certificate")
    assert volume["secret"] == {"secretName": "prometheus"}


def test_several_config_services_are_kept_apart_and_not_taken_all_at_once() -> None:
    name = "sie-sie-cluster-config"
    one, two = render("gke"), render("gke", "config.replicas=2")
    assert of_kind(one, "Deployment")[name]["spec"]["replicas"] == 1
    assert name not in of_kind(one, "PodDisruptionBudget"), "a single one could never be drained"
    assert of_kind(two, "Deployment")[name]["spec"]["replicas"] == 2
    budget = of_kind(two, "PodDisruptionBudget")[name]["spec"]
    assert budget["maxUnavailable"] == 1
    labels = of_kind(two, "Deployment")[name]["spec"]["template"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"].items() <= labels.items()
    (_, zones) = pod_specs(two)[name]["topologySpreadConstraints"]
    assert zones["topologyKey"] == "topology.kubernetes.io/zone"


def test_documents_follow_the_values() -> None:
    import subprocess
    import sys

    script = CHART.parent.parent / "scripts" / "chart_docs.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_value_is_explained_or_explains_itself() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(values["workers"]["pools"]) == {"l4", "l4-spot", "a100-40gb", "a100-80gb", "cpu"}
    for pool in values["workers"]["pools"].values():
        assert pool["enabled"] is False
        assert pool.keys() <= values["workers"]["pools"]["l4"].keys()


def test_the_service_may_have_a_port_that_the_gateway_may_not() -> None:
    sets = ("gateway.service.port=80", "gateway.service.grpcPort=443")
    objects = render("gke", *sets)
    service = of_kind(objects, "Service")["sie-sie-cluster-gateway"]
    assert [port["port"] for port in service["spec"]["ports"]] == [80, 443]
    container = pod_specs(objects)["sie-sie-cluster-gateway"]["containers"][0]
    listening = [port["containerPort"] for port in container["ports"]]
    assert listening == [8080, 9090], "below 1024 takes a right that it does not have"
    assert environment(container)["SIE_HTTP_PORT"] == "8080"
    policy = of_kind(objects, "NetworkPolicy")["sie-sie-cluster-gateway"]["spec"]["ingress"][0]
    assert [port["port"] for port in policy["ports"]] == listening
    url = environment(pod_specs(objects)["sie-sie-cluster-test-encode"]["containers"][0])["URL"]
    assert url == "http://sie-sie-cluster-gateway:80"


@pytest.mark.parametrize(
    ("sets", "secret"),
    [
        (("gateway.auth.tokenSecretName=tokens",), "'name': 'tokens'"),
        (("gateway.auth.tokenFileSecretName=tenants",), ""),
        (("gateway.auth.tokenFileSecretName=tenants", "test.tokenSecretName=one"), "'name': 'one'"),
    ],
)
def test_the_helm_test_has_a_token_where_one_is_named(sets: tuple[str, ...], secret: str) -> None:
    (container,) = pod_specs(render("", "gateway.auth.mode=static", *sets))[
        "sie-sie-cluster-test-encode"
    ]["containers"]
    assert secret in environment(container).get("TOKENS", "")


def test_the_gateway_may_be_behind_a_load_balancer_inside_and_follow_its_cpu() -> None:
    values = """
gateway:
  service:
    type: LoadBalancer
    annotations: {cloud.google.com/load-balancer-type: Internal}
  autoscaling: {mode: cpu, targetCPUUtilization: 60}
serviceMonitor: {interval: 30s}
"""
    objects = render("gke", values=values)
    service = of_kind(objects, "Service")["sie-sie-cluster-gateway"]
    assert service["spec"]["type"] == "LoadBalancer"
    annotations = service["metadata"]["annotations"]
    assert annotations["cloud.google.com/load-balancer-type"] == "Internal"
    scaler = of_kind(objects, "HorizontalPodAutoscaler")["sie-sie-cluster-gateway"]["spec"]
    assert scaler["metrics"][0]["resource"]["target"]["averageUtilization"] == 60
    for monitor in of_kind(objects, "ServiceMonitor").values():
        assert monitor["spec"]["endpoints"][0]["interval"] == "30s"


@pytest.mark.parametrize("worked", WORKED_VALUES)
def test_what_there_is_several_of_is_spread(worked: str) -> None:
    objects = render(worked, "nats.replicas=3")
    specs = pod_specs(objects)
    for name in of_kind(objects, "Deployment", "StatefulSet"):
        for each in specs[name]["topologySpreadConstraints"]:
            labels = of_kind(objects, "Deployment", "StatefulSet")[name]["spec"]["template"][
                "metadata"
            ]["labels"]
            chosen = each["labelSelector"]["matchLabels"].items()
            assert chosen <= labels.items(), f"{name} is spread against others"

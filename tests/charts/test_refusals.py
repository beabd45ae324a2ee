"""Bad values are refused, and the message says which and why."""

import re

import pytest

from tests.charts.rendering import CHART, RefusedError, render_text

_CASES = {
    "unknown key": (["gateway.replica=3"], "'replica' not allowed"),
    "unknown key of a pool": (["workers.pools.l4.gpuu=1"], "'gpuu' not allowed"),
    "wrong type": (["gateway.replicas=three"], "got string, want integer"),
    "too few": (["gateway.replicas=0"], "minimum"),
    "an address without a scheme": (
        ["autoscaling.enabled=true", "autoscaling.prometheusAddress=prometheus:9090"],
        "'prometheus:9090' does not match pattern",
    ),
    "a host of two words": (["ingress.enabled=true", "ingress.host=a b"], "does not match pattern"),
    "a disk of no size": (["workers.common.cacheVolumeSize=big"], "does not match pattern"),
    "a port that is none": (["gateway.service.port=70000"], "maximum: got 70,000, want 65,535"),
    "a drain before its begin": (["gateway.drainSeconds=-1"], "minimum: got -1, want 0"),
    "unknown mode": (["gateway.auth.mode=tokn"], "one of 'none', 'static'"),
    "auth without tokens": (["gateway.auth.mode=static"], "gateway.auth.tokenSecretName must name"),
    "callers' certificates without TLS": (
        ["gateway.tls.clientCaSecretName=callers"],
        "gateway.tls.secretName must name",
    ),
    "a certificate that nobody asks for": (
        ["gateway.tls.clientCertSecretName=prometheus"],
        "gateway.tls.clientCaSecretName makes them",
    ),
    "scrapes that gateways would refuse": (
        [
            "gateway.tls.secretName=own",
            "gateway.tls.clientCaSecretName=callers",
            "serviceMonitor.enabled=true",
        ],
        "Prometheus, which serviceMonitor has scrape them, needs one",
    ),
    "a name without a certificate": (
        ["gateway.tls.serverName=sie.example.com"],
        "gateway.tls.secretName names none",
    ),
    "payloads on a pod's disk": (
        ["payloadStore.enabled=true", "payloadStore.url=file:///tmp"],
        "payloadStore.enabled is true, so its url must be gs://",
    ),
    "files nowhere": (["fileStore.enabled=true"], "fileStore.enabled is true, so its url"),
    "a place without its slash": (
        ["gateway.batches.places={gs://bucket/in}"],
        "with a slash at the end",
    ),
    "an odd collector": (["tracing.endpoint=collector:4317"], "address of a collector"),
    "more than all traces": (["tracing.samplingRatio=2"], "a share from 0 to 1"),
    "sign-in without issuer": (
        ["auth.enabled=true", "ingress.enabled=true", "ingress.host=a.b"],
        "oidcIssuerUrl must name the issuer",
    ),
    "sign-in without ingress": (
        ["auth.enabled=true", "auth.oauth2Proxy.oidcIssuerUrl=https://a.b"],
        "set ingress.enabled",
    ),
    "sign-in by another ingress": (
        [
            "auth.enabled=true",
            "auth.oauth2Proxy.oidcIssuerUrl=https://a.b",
            "ingress.enabled=true",
            "ingress.host=a.b",
            "ingress.className=gce",
        ],
        'ingress.className is "gce"',
    ),
    "two tokens of the hub": (
        ["hfToken.create=true", "hfToken.value=a", "hfToken.existingSecret=b"],
        "choose one",
    ),
    "more gateways at least than at most": (
        ["gateway.replicas=11", "gateway.autoscaling.mode=cpu"],
        "above gateway.autoscaling.maxReplicas of 10",
    ),
    "ingress without host": (["ingress.enabled=true"], "ingress.host must say"),
    "empty token": (["hfToken.create=true", "hfToken.value="], "give the token, or leave both out"),
    "chart that is not there": (["keda.install=true"], "scripts/package_chart.sh"),
    "pool without profile": (["workers.pools.x.enabled=true"], "machineProfiles has no such entry"),
    "two pools of a lane": (
        [
            "workers.pools.l4.enabled=true",
            "workers.pools.l4-spot.enabled=true",
            "workers.pools.l4-spot.machineProfile=l4",
        ],
        "both would be scaled by the same demand",
    ),
    "more at least than at most": (
        ["workers.pools.l4.enabled=true", "workers.pools.l4.minReplicas=11"],
        "above its maxReplicas of 10",
    ),
    "even broker": (["nats.replicas=2"], "one of 1, 3"),
    "no broker": (["nats.install=false"], "nats.url must name the broker"),
    "more copies than brokers": (["config.streams.replicas=3"], "more than the 1 replicas"),
    "files without disk": (
        ["config.streams.storage=file", "nats.jetstream.fileStorage.enabled=false"],
        "gives the broker no disk",
    ),
    "streams that do not fit": (
        ["nats.jetstream.fileStorage.size=2Gi"],
        "six streams of 1073741824 bytes do not fit",
    ),
    "size that the broker does not read": (["nats.jetstream.maxMemory=1.5G"], "whole number of Ki"),
    "sign-in beside an open door": (
        [
            "auth.enabled=true",
            "auth.oauth2Proxy.oidcIssuerUrl=https://a.b",
            "ingress.enabled=true",
            "ingress.host=a.b",
            "ingress.grpcHost=g.a.b",
        ],
        "which would leave ingress.grpcHost open",
    ),
    "odd bucket": (
        ["workers.common.clusterCache.enabled=true", "workers.common.clusterCache.url=my-bucket"],
        "must be gs://bucket/path or s3://bucket/path",
    ),
    "requests without KEDA": (["gateway.autoscaling.mode=requests"], "needs autoscaling.enabled"),
    "long name": (
        [
            f"fullnameOverride={'a' * 44}",
            f"workers.pools.{'b' * 20}.enabled=true",
            f"workers.pools.{'b' * 20}.machineProfile=l4",
        ],
        "52 characters",
    ),
}


@pytest.mark.parametrize("name", _CASES)
def test_refused_with_a_sentence(name: str) -> None:
    sets, sentence = _CASES[name]
    with pytest.raises(RefusedError) as refused:
        render_text("", tuple(sets))
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("slo", "sentence"),
    [("availability: 99.9", "maximum"), ("latencySeconds: 0.3", "value must be one of")],
)
def test_objectives_are_shares_and_buckets(slo: str, sentence: str) -> None:
    with pytest.raises(RefusedError, match=sentence):
        render_text(values=f"alertRules: {{slo: {{{slo}}}}}")


def test_every_refusal_is_met() -> None:
    text = "\n".join(path.read_text() for path in (CHART / "templates").rglob("*.*"))
    sentences = re.findall(r'fail \(?(?:printf )?"([^"]+)"', text)
    assert len(sentences) > 20
    met = []
    for sets, _ in _CASES.values():
        with pytest.raises(RefusedError) as refused:
            render_text("", tuple(sets))
        met.append(str(refused.value))
    for sentence in sentences:
        # Without what is filled in.
        part = max(re.split(r"%[sdvq]", sentence), key=len)
        assert any(part in message for message in met), sentence

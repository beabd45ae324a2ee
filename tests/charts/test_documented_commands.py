"""The Helm commands that users know work with the flags as they know them."""

from pathlib import Path

from tests.charts.rendering import environment, of_kind, pod_specs, render

_ACCOUNT = "serviceAccount.annotations.iam\\.gke\\.io/gcp-service-account"
_CUSTOM_VALUES = """
gateway:
  replicas: 3
workers:
  common:
    bundle: default
    cacheVolumeSize: 100Gi
    clusterCache:
      enabled: true
      url: gs://my-bucket/models
  pools:
    l4:
      enabled: true
      minReplicas: 1
      maxReplicas: 20
autoscaling:
  enabled: true
  cooldownPeriod: 300
ingress:
  enabled: true
  host: sie.example.com
  tls:
    enabled: true
    secretName: sie-tls
auth:
  enabled: true
  oauth2Proxy:
    oidcIssuerUrl: https://auth.example.com/realms/sie
serviceMonitor:
  enabled: true
"""
_AUTOSCALING = """
autoscaling:
  enabled: true
  prometheusAddress: http://prometheus-operated.monitoring.svc:9090
  pollingInterval: 15
  cooldownPeriod: 900
  scaleDownStabilization: 300
  queueDepthThreshold: 10
  queueDepthActivation: 2
  fallbackReplicas: 2
gateway:
  replicas: 2
  resources:
    requests:
      cpu: "500m"
      memory: "512Mi"
    limits:
      cpu: "2"
      memory: "2Gi"
workers:
  pools:
    l4:
      enabled: true
      minReplicas: 0
      maxReplicas: 10
      gpuType: l4
      nodeSelector:
        cloud.google.com/gke-accelerator: nvidia-l4
      gpu:
        count: 1
        product: NVIDIA-L4
      resources:
        requests:
          cpu: "4"
          memory: "16Gi"
"""


def test_a_first_installation() -> None:
    objects = render(
        "",
        f"{_ACCOUNT}=sie@my-project.iam.gserviceaccount.com",
        "workers.pools.l4.enabled=true",
        "workers.pools.l4.minReplicas=1",
        "hfToken.create=true",
        "hfToken.value=hf_token",
    )
    account = of_kind(objects, "ServiceAccount")["sie-server"]
    assert account["metadata"]["annotations"] == {
        "iam.gke.io/gcp-service-account": "sie@my-project.iam.gserviceaccount.com"
    }
    assert of_kind(objects, "StatefulSet")["sie-sie-cluster-worker-l4"]["spec"]["replicas"] == 1
    # `kubectl port-forward svc/sie-sie-cluster-gateway 8080:8080`
    service = of_kind(objects, "Service")["sie-sie-cluster-gateway"]
    assert service["spec"]["ports"][0]["port"] == 8080
    # `kubectl logs -l app.kubernetes.io/component=gateway`
    labels = of_kind(objects, "Deployment")["sie-sie-cluster-gateway"]["spec"]["template"][
        "metadata"
    ]
    assert labels["labels"]["app.kubernetes.io/component"] == "gateway"


def test_with_autoscaling_and_observability(released: Path) -> None:
    objects = render(
        "",
        "workers.pools.l4.enabled=true",
        "keda.install=true",
        "autoscaling.enabled=true",
        "kube-prometheus-stack.install=true",
        "dcgm-exporter.install=true",
        chart=released,
    )
    assert "sie-sie-cluster-l4-default" in of_kind(objects, "ScaledObject")
    assert "sie-sie-cluster-gateway" in of_kind(objects, "ServiceMonitor"), "or KEDA sees nothing"
    names = of_kind(objects, "ConfigMap")
    assert {"stand-in-keda", "stand-in-dcgm-exporter"} <= names.keys()


def test_custom_values() -> None:
    objects = render("", values=_CUSTOM_VALUES)
    worker = pod_specs(objects)["sie-sie-cluster-worker-l4"]
    assert environment(worker["containers"][0])["SIE_CLUSTER_CACHE"] == "gs://my-bucket/models"
    cache = next(each for each in worker["volumes"] if each["name"] == "cache")
    assert cache["emptyDir"]["sizeLimit"] == "100Gi"
    scaled = of_kind(objects, "ScaledObject")["sie-sie-cluster-l4-default"]["spec"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (1, 20)
    assert scaled["cooldownPeriod"] == 300
    assert "sie-sie-cluster-oauth2-proxy" in of_kind(objects, "Deployment")
    assert (
        of_kind(objects, "Ingress")["sie-sie-cluster"]["spec"]["tls"][0]["secretName"] == "sie-tls"
    )


def test_values_of_gateway_pools_and_autoscaling() -> None:
    objects = render("", values=_AUTOSCALING)
    resources = pod_specs(objects)["sie-sie-cluster-gateway"]["containers"][0]["resources"]
    assert resources["limits"] == {"cpu": "2", "memory": "2Gi"}
    scaled = of_kind(objects, "ScaledObject")["sie-sie-cluster-l4-default"]["spec"]
    assert scaled["minReplicaCount"] == 0
    assert scaled["fallback"]["replicas"] == 2


def test_static_tokens() -> None:
    objects = render("", "gateway.auth.mode=static", "gateway.auth.tokenSecretName=sie-auth-tokens")
    variables = environment(pod_specs(objects)["sie-sie-cluster-gateway"]["containers"][0])
    assert variables["SIE_AUTH_MODE"] == "static"
    assert "'key': 'SIE_AUTH_TOKEN'" in variables["SIE_AUTH_TOKEN"]

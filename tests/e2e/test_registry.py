"""The registry through its edges: HTTP in JSON and YAML, and the command line."""

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from cli.__main__ import main
from cli.local_stack import DEFAULT_MODEL, LocalStack
from cli.ports import free_port
from servicekit.yaml_nodes import MAX_FILE_BYTES
from tests.asking import ask

ROOT = Path(__file__).parents[2]
YAML = {"content-type": "application/yaml"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """A cluster of our own without workers."""
    directory = tmp_path_factory.mktemp("registry")
    models = directory / "models"
    models.mkdir()
    shutil.copy(ROOT / "models" / "all-minilm-l6-v2.yaml", models)
    with LocalStack(directory / "stack", env={"SIE_MODELS_DIR": str(models)}) as stack:
        stack.start_broker()
        stack.start_config()
        stack.start_gateway()
        for process in stack.processes.values():
            process.wait_ready(60)
        yield stack


@pytest.fixture
def http(stack):
    def call(method, path, body=None, headers=None):
        return ask(stack.http_address, method, f"/v1/configs{path}", body, headers)

    return call


@pytest.fixture
def sie(stack):
    def run(*arguments):
        return CliRunner().invoke(main, [*map(str, arguments), "--address", stack.grpc_address])

    return run


@pytest.fixture(autouse=True)
def as_it_was(http):
    """Each test leaves the registry as it found it."""
    before = http("GET", "/export").json()
    yield
    kinds = "prune=model&prune=bundle&prune=machine_profile"
    assert http("POST", f"/import?{kinds}", before).status == 200


def definition(model_id, **fields):
    return {"model_id": model_id, "sources": [{"directory": "/a"}], "tasks": {"score": {}}} | fields


def revision(http):
    return int(http("GET", "/revision").json()["revision"])


def test_a_model_is_written_read_resolved_and_deleted(http):
    applied = http("POST", "/models", definition("org/m"))
    assert applied.status == 200
    assert applied.json()["changed"] is True
    assert http("PUT", "/models/org/m", definition("org/m")).json()["changed"] is False
    found = http("GET", "/models/org/m")
    assert found.json()["sources"] == [{"directory": "/a", "sha256": {}}]
    assert found.headers["x-sie-registry-revision"] == applied.json()["revision"]
    resolved = http("POST", "/resolve", {"model": "default:/org/m"}).json()
    assert (resolved["resolved_bundle"], list(resolved["profiles"])) == ("default", ["default"])
    other = http("POST", "/resolve", {"model": "org/m", "bundle": "other"})
    assert (other.status, other.json()["error"]["code"]) == (409, "BUNDLE_INCOMPATIBLE")
    assert http("DELETE", "/models/org/m").status == 200
    assert http("GET", "/models/org/m").json()["error"]["code"] == "MODEL_NOT_FOUND"
    assert http("DELETE", "/models/org/m").status == 404
    assert http("DELETE", "/models/org/m?allow_missing=true").status == 200


def test_the_path_and_the_body_of_a_put_must_agree(http):
    refused = http("PUT", "/models/org/m", definition("org/other"))
    assert refused.json()["error"]["metadata"] == {"field": "model.model_id"}


def test_what_is_read_as_yaml_can_be_written_as_yaml(http):
    text = http("GET", f"/models/{DEFAULT_MODEL}", headers={"accept": "application/yaml"})
    assert text.headers["content-type"] == "application/yaml"
    file = yaml.safe_load((ROOT / "models" / "all-minilm-l6-v2.yaml").read_text())
    assert yaml.safe_load(text.body) == file
    again = http("POST", "/models", text.body, YAML)
    assert again.json()["changed"] is False


def test_dry_runs_and_expected_revisions(http):
    before = revision(http)
    assert http("POST", "/models?dry_run=true", definition("m")).json()["changed"] is True
    assert revision(http) == before
    late = http("POST", f"/models?expected_revision={before - 1}", definition("m"))
    assert (late.status, late.json()["error"]["code"]) == (409, "REVISION_CONFLICT")
    assert http("POST", f"/models?expected_revision={before}", definition("m")).status == 200


def test_an_idempotency_key_answers_once(http):
    key = {"idempotency-key": "once"}
    first = http("POST", "/bundles", {"bundle_id": "b"}, key)
    http("DELETE", "/bundles/b")
    assert http("POST", "/bundles", {"bundle_id": "b"}, key).body == first.body
    assert http("GET", "/bundles/b").status == 404
    for other in ({"bundle_id": "b", "priority": 1}, {"bundle_id": "c"}):
        refused = http("POST", "/bundles", other, key)
        assert (refused.status, refused.json()["error"]["code"]) == (409, "IDEMPOTENCY_CONFLICT")
    for none in ("x" * 129, "é", "a b", ""):
        refused = http("POST", "/bundles", {"bundle_id": "b"}, {"idempotency-key": none})
        assert refused.json()["error"]["metadata"] == {"field": "idempotency-key"}


def test_what_is_used_cannot_be_deleted(http):
    refused = http("DELETE", "/bundles/default")
    assert (refused.status, refused.json()["error"]["code"]) == (409, "IN_USE")
    assert DEFAULT_MODEL in refused.json()["error"]["metadata"]["used_by"]
    http("POST", "/machine_profiles", {"machine_profile_id": "l4"})
    http("POST", "/models", definition("m", machine_profile="l4"))
    http("POST", "/bundles", {"bundle_id": "b", "machine_profile": "l4"})
    refused = http("DELETE", "/machine_profiles/l4")
    assert (refused.status, refused.json()["error"]["code"]) == (409, "IN_USE")
    assert refused.json()["error"]["metadata"]["used_by"] == "bundle b, model m"


def test_the_past_is_listed_compared_and_brought_back(http):
    http("POST", "/models", definition("m", max_sequence_length=1))
    first = revision(http)
    http("POST", "/models", definition("m", max_sequence_length=2))
    http("DELETE", "/models/m")
    commits = http("GET", "/revisions?resource_type=model&id=m").json()["revisions"]
    assert [commit["action"] for commit in commits[:3]] == ["deleted", "updated", "created"]
    changes = http("GET", f"/diff?from_revision={first}&to_revision={first + 1}").json()["changes"]
    field = {"path": "max_sequence_length", "before": "1", "after": "2"}
    assert changes == [
        {"resource_type": "model", "id": "m", "action": "updated", "fields": [field]}
    ]
    body = {"to_revision": first, "resource_type": "model", "id": "m"}
    assert http("POST", "/rollback", body).json()["changes"][0]["action"] == "created"
    assert http("GET", "/models/m").json()["max_sequence_length"] == 1
    assert http("POST", "/rollback", {"to_revision": first - 1}).status == 200
    assert http("GET", "/models/m").status == 404
    future = http("POST", "/rollback", {"to_revision": first + 1000})
    assert future.json()["error"]["code"] == "INVALID_INPUT"
    assert future.json()["error"]["metadata"] == {"field": "to_revision"}


def test_status_names_who_has_applied_a_model(http):
    written = http("POST", "/models", definition("m")).json()["revision"]
    status = http("GET", "/models/m/status").json()
    assert status["revision"] == written
    assert [gateway["applied"] for gateway in status.get("gateways", [])] == [True]
    assert status["bundles"][0]["total_eligible_workers"] == 0
    assert status["all_bundles_acked"] is False
    assert http("GET", "/models/none/status").status == 404


def test_every_gateway_tells_what_every_gateway_has_applied(stack, http):
    port = free_port()
    other = stack.start_gateway("gateway-2", SIE_HTTP_PORT=str(port))
    other.wait_ready(60)
    written = http("POST", "/models", definition("m")).json()["revision"]

    def gateways(address):
        status = ask(address, "GET", "/v1/configs/models/m/status").json()
        return [(gateway["revision"], gateway["applied"]) for gateway in status.get("gateways", [])]

    addresses = (stack.http_address, f"127.0.0.1:{port}")
    wanted = [[(written, True)] * 2] * 2
    for _ in range(600):
        if (found := [gateways(address) for address in addresses]) == wanted:
            break
        time.sleep(0.1)
    assert found == wanted
    other.terminate()
    other.wait(60)


def test_a_model_named_status_is_reached_by_an_escaped_slash(http):
    http("POST", "/models", definition("org/status"))
    assert http("GET", "/models/org%2Fstatus").json()["model_id"] == "org/status"
    assert http("GET", "/models/org/status/status").json()["model_id"] == "org/status"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("model_id: &a x", "model"),
        ("a: &a [x]\nb: [*a, *a]", "model"),
        ("model_id: [", "model"),
        ("[" * 100_000, "model"),
        ("model_id: a\nmodel_id: b", "model.model_id"),
        ("model_id: a\nno_such: 1", "model.no_such"),
        ("model_id: 5", "model.model_id"),
        ("model_id: !!python/object:os.system x", "model"),
        ("model_id: a\n---\nmodel_id: b", "model"),
        ("model_id: 'a\x01'", "model"),
        (b"model_id: \xff", "body"),
        ("inputs: [" + "text," * 100_000 + "]", "model"),
        ("model_id: " + "a" * 400_000, "model.model_id"),
        ("model_id: " + "a" * 1_000_000, "model"),
        *((f"model_id: '{name}'", "model.model_id") for name in ("../etc", "a//b", "a/./b", "/a")),
        *((f"model_id: '{name}'", "model.model_id") for name in ("a*", "a>b", "a b", "é", "")),
        ('model_id: "a\\0b"', "model.model_id"),
    ],
)
def test_hostile_yaml_is_refused_at_its_field(http, body, field):
    reply = http("POST", "/models", body if isinstance(body, bytes) else body.encode(), YAML)
    error = reply.json()["error"]
    assert (reply.status, error["code"], error["metadata"]["field"]) == (
        400,
        "INVALID_INPUT",
        field,
    )
    assert len(reply.body) < 2000


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/models", definition("a" * 1_000_000)),
        ("POST", "/bundles", {"bundle_id": "a" * 1_000_000}),
        ("POST", "/models", definition("m", **{"x" * 1_000_000: 1})),
        ("POST", "/models", definition("m", profiles={"x" * 1_000_000: {}})),
        ("POST", "/models", definition("m", profiles={"default": {"extends": "😀" * 100_000}})),
        ("POST", "/resolve", {"model": "a" * 1_000_000}),
        ("POST", "/resolve", {"model": "m", "bundle": "b" * 1_000_000}),
        (
            "POST",
            "/rollback",
            {"to_revision": "1", "resource_type": "model", "id": "a" * 1_000_000},
        ),
        ("POST", "/import", {"models": [definition("m"), definition("m")]}),
        ("POST", "/import?prune=unspecified", {}),
        ("POST", "/import?prune=pool", {}),
        ("GET", "/revisions?page_token=x", None),
        ("GET", "/revisions?id=x", None),
        ("GET", "/diff?from_revision=-1", None),
        ("GET", "/diff?from_revision=99999", None),
        ("GET", "/export?revision=18446744073709551615", None),
        ("DELETE", "/models/a%00b", None),
        ("PUT", "/bundles/*", {"bundle_id": "*"}),
    ],
)
def test_hostile_json_is_refused_in_few_words(http, method, path, body):
    reply = http(method, path, body)
    assert 400 <= reply.status < 500, reply.body[:300]
    assert len(reply.body) < 4000, reply.body[:300]


def test_more_than_a_megabyte_of_yaml_is_too_large(http):
    reply = http("POST", "/models", b"#" * (MAX_FILE_BYTES + 1), YAML)
    assert (reply.status, reply.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_yaml_is_not_read_where_items_are(stack):
    reply = ask(stack.http_address, "POST", f"/v1/encode/{DEFAULT_MODEL}", b"items: []", YAML)
    assert reply.status == 415


@pytest.mark.parametrize("name", ["a__b", "a.b/c_d", "a" * 128])
def test_ids_that_subjects_could_not_hold_are_models_like_others(http, name):
    assert http("POST", "/models", definition(name)).status == 200
    assert http("GET", f"/models/{name}").json()["model_id"] == name


def test_reads_work_and_writes_are_told_apart_while_the_config_service_is_down(stack, http):
    before = http("GET", f"/models/{DEFAULT_MODEL}").body
    stack.processes["config"].kill()
    stack.processes["config"].wait(60)
    try:
        assert http("GET", f"/models/{DEFAULT_MODEL}").body == before
        refused = http("POST", "/models", definition("m"))
        assert (refused.status, refused.json()["error"]["code"]) == (503, "REGISTRY_UNAVAILABLE")
        assert int(refused.headers["retry-after"]) >= 1
    finally:
        stack.start_config().wait_ready(60)
    for _ in range(600):
        if http("POST", "/models?dry_run=true", definition("m")).status == 200:
            break
        time.sleep(0.1)
    assert http("POST", "/models", definition("m")).json()["changed"] is True


def test_a_directory_is_applied_compared_and_pruned(sie, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "models" / f"{name}.yaml").write_text(json.dumps(definition(f"x/{name}")))
    (tmp_path / "fast.yml").write_text("bundle_id: fast\npriority: 5\n")
    assert "3 created (dry run)" in sie("apply", "-f", tmp_path, "--dry-run").output
    assert sie("diff", "-f", tmp_path).exit_code == 1
    applied = sie("apply", "-f", tmp_path)
    assert "+ bundle/fast\n+ model/x/a\n+ model/x/b\n3 created; revision" in applied.output
    assert sie("diff", "-f", tmp_path).exit_code == 0
    (tmp_path / "models" / "b.yaml").unlink()
    assert sie("diff", "-f", tmp_path).exit_code == 0
    pruned = sie("apply", "-f", tmp_path / "models", "--prune")
    assert "- model/x/b\n" in pruned.output
    assert f"- model/{DEFAULT_MODEL}\n" in pruned.output
    assert "bundle" not in pruned.output


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        (
            "model_id: a\nsources: [{directory: /a}]\ntasks:\n  score: {}\nbundles:\n- gone\n",
            "6: bu",
        ),
        ("model_id: a\nsources:\n- directory: a\ntasks:\n  score: {}\n", "3: sources[0].directory"),
        ("model_id: a\nbundle_id: b\n", "1: must hold one of"),
        ("models:\n- model_id: a\n  tasks: {score: {}}\n", "2: models[0].sources: must"),
        ("model_id: a\nsource: 1\n", "2: source: is no field"),
    ],
)
def test_a_refusal_names_file_line_and_field(sie, tmp_path, file, problem):
    (tmp_path / "bad.yaml").write_text(file)
    failed = sie("apply", "-f", tmp_path)
    assert failed.exit_code == 1
    assert f"{tmp_path / 'bad.yaml'}:{problem}" in failed.output


def test_two_files_of_one_id_are_refused(sie, tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text("bundle_id: same")
    assert f"the same id as {tmp_path / 'a.yaml'}" in sie("apply", "-f", tmp_path).output


def test_a_registry_that_is_guarded_is_changed_with_the_administrators_token(
    stack, tmp_path, monkeypatch
):
    port = free_port()
    guarded = stack.start_gateway(
        "gateway-guarded",
        SIE_GRPC_PORT=str(port),
        SIE_AUTH_MODE="static",
        SIE_AUTH_TOKEN="user",
        SIE_ADMIN_TOKEN="admin",
    )
    guarded.wait_ready(60)
    (tmp_path / "b.yaml").write_text("bundle_id: b")

    def sie(token, *arguments):
        monkeypatch.setenv("SIE_API_KEY", token)
        return CliRunner().invoke(main, [*arguments, "--address", f"127.0.0.1:{port}"]).output

    apply = ["apply", "-f", str(tmp_path)]
    assert "UNAUTHENTICATED" in sie("", *apply)
    assert "PERMISSION_DENIED" in sie("user", *apply)
    assert "1 created" in sie("admin", *apply)
    assert "bundle default" in sie("user", "registry", "status", DEFAULT_MODEL)
    guarded.terminate()
    guarded.wait(60)


def test_calls_that_race_under_one_key_do_it_once(http):
    def post(_):
        return http("POST", "/bundles", {"bundle_id": "raced"}, {"idempotency-key": "race"}).body

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(post, range(24)))) == 1


def test_an_export_brings_the_registry_back(sie, http, tmp_path):
    file = tmp_path / "all.yaml"
    assert sie("registry", "export", "-o", file).exit_code == 0
    http("POST", "/bundles", {"bundle_id": "fast"})
    http("POST", "/models", definition("m", bundles=["fast"]))
    assert "2 deleted" in sie("registry", "import", file).output
    assert "- model/m" in sie("registry", "diff", revision(http) - 2).output
    history = sie("registry", "history", "model/m", "-n", "2").output.splitlines()
    assert [line.split()[3] for line in history[1:]] == ["deleted", "created"]
    assert "1 created" in sie("registry", "rollback", revision(http) - 2, "bundle/fast").output
    assert "deleted bundle/fast" in sie("registry", "delete", "bundle/fast").output
    assert "is no definition" in sie("registry", "delete", "fast").output
    assert "applied" in sie("registry", "status", DEFAULT_MODEL).output

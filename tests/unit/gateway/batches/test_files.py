"""Files and batches as they are kept: uploaded, read, listed, bounded, each tenant its own."""

import base64
import os

import pytest

from tests.unit.gateway.batches.running import ENCODE, ENDED, Gateway, request
from tests.unit.gateway.support import EchoInference

BOUNDARY = "b0undary"
MULTIPART = ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")


def form(content, purpose="batch", filename="in.jsonl", **fields):
    parts = [("purpose", purpose), *fields.items()]
    lines = b"".join(
        b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
        % (BOUNDARY.encode(), name.encode(), value.encode())
        for name, value in parts
    )
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"'
    return lines + head.encode() + b"\r\n\r\n" + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def text(data):
    return base64.b64encode(data).decode()


async def test_files_are_uploaded_as_forms_and_read_as_they_are(gateway):
    content = os.urandom(700_000) + b"\r\n--b0undar" + BOUNDARY.encode()[:-1] + b"\r\n"
    answer = await gateway.ask("POST", "/v1/files", form(content), headers=[MULTIPART])
    assert answer.status == 200, answer.body
    file = answer.json
    assert (file["object"], file["bytes"], file["status"]) == ("file", len(content), "processed")
    assert (file["filename"], file["purpose"]) == ("in.jsonl", "batch")
    head = await gateway.ask("HEAD", f"/v1/files/{file['id']}/content")
    assert head.status == 200
    assert await gateway.content(file["id"]) == content
    assert (await gateway.ask("GET", f"/v1/files/{file['id']}")).json == file
    gone = await gateway.ask("DELETE", f"/v1/files/{file['id']}")
    assert gone.json == {"id": file["id"], "object": "file", "deleted": True}
    assert (await gateway.ask("GET", f"/v1/files/{file['id']}")).status == 404
    assert (await gateway.ask("GET", f"/v1/files/{file['id']}/content")).status == 404


BAD_FORMS = {
    "too large": (form(b"x" * 1_000_001), 413, None),
    "other purpose": (form(b"x", purpose="fine-tune"), 400, "purpose"),
    "no file": (b"--b0undary--\r\n", 400, "file"),
    "unknown field": (form(b"x", colour="red"), 400, "colour"),
    "cut off": (form(b"x")[:-10], 400, "body"),
    "no form": (b"{}", 400, "body"),
    "empty": (b"", 400, "body"),
    "no name": (form(b"x", filename=""), 400, "filename"),
    "short life": (form(b"x", **{"expires_after[seconds]": "10"}), 400, "expires_after[seconds]"),
    "life in Arabic": (
        form(b"x", **{"expires_after[seconds]": "٣٦٠٠"}),
        400,
        "expires_after[seconds]",
    ),
}


@pytest.mark.parametrize("case", BAD_FORMS)
async def test_a_form_that_cannot_be_used_is_refused_and_leaves_nothing(gateway, case):
    body, status, field = BAD_FORMS[case]
    answer = await gateway.ask("POST", "/v1/files", body, headers=[MULTIPART])
    assert answer.status == status, answer.body
    assert answer.json["error"].get("metadata", {}).get("field") == field
    assert (await gateway.ask("GET", "/v1/files")).json["data"] == []


async def test_a_file_may_come_in_parts_and_a_part_twice(gateway):
    first = {"filename": "a", "content": text(b"abc"), "partial": True}
    file = (await gateway.ask("POST", "/v1/files", first)).json
    assert file["status"] == "uploading"
    refused = await gateway.ask(
        "POST", "/v1/batches", {"input_file_id": file["id"], "endpoint": ENCODE}
    )
    assert refused.json["error"]["metadata"]["field"] == "input_file_id"
    path = f"/v1/files/{file['id']}:append"
    rest = {"offset": "3", "content": text(b"de")}
    for _ in range(2):
        answer = await gateway.ask("POST", path, rest)
        assert (answer.json["bytes"], answer.json["status"]) == (5, "processed")
    again = await gateway.ask("POST", path, {"offset": 5, "content": text(b"f")})
    assert again.json["error"]["metadata"]["field"] == "file_id"
    first_part = await gateway.ask("GET", f"/v1/files/{file['id']}:read")
    assert base64.b64decode(first_part.json["content"]) == b"abc"
    assert first_part.json["next_offset"] == 3


async def test_what_a_tenant_may_keep_is_bounded_and_deleting_makes_room(client, place):
    async with Gateway(client, "gw", [place], EchoInference(), tenant_bytes=2500) as gateway:

        async def upload(content, tenant="acme"):
            body = form(content)
            return await gateway.ask("POST", "/v1/files", body, tenant, headers=[MULTIPART])

        first, second = [await upload(b"x" * 1000) for _ in range(2)]
        begun = {"filename": "a", "content": text(b"x" * 1000), "partial": True}
        inline = {"input": "x" * 1000, "endpoint": ENCODE}
        refused = [
            await upload(b"x" * 1000),
            await gateway.ask("POST", "/v1/files", begun),
            await gateway.ask("POST", "/v1/batches", inline),
        ]
        assert [(first.status, second.status), *(each.status for each in refused)] == [
            (200, 200),
            429,
            429,
            429,
        ]
        assert refused[1].json["error"]["metadata"] == {"tenant": "acme", "limit": "file_bytes"}
        assert (await upload(b"x" * 1000, "other")).status == 200
        await gateway.ask("DELETE", f"/v1/files/{first.json['id']}")
        assert (await upload(b"x" * 1000)).status == 200


async def test_a_file_that_nobody_completes_goes_sooner(gateway):
    def life(answer):
        file = answer.json
        return file["expires_at"] - file["created_at"]

    first = {"filename": "a", "content": text(b"abc"), "partial": True}
    begun = await gateway.ask("POST", "/v1/files", first)
    rest = {"offset": 3, "content": text(b"d")}
    ended = await gateway.ask("POST", f"/v1/files/{begun.json['id']}:append", rest)
    assert 86400 <= life(begun) < 2 * 86400
    assert life(ended) == 30 * 86400


async def test_files_may_be_kept_in_a_directory(client, place, tmp_path):
    store = f"file://{tmp_path}/files"
    async with Gateway(client, "gw", [place], EchoInference(), store=store) as gateway:
        done = await gateway.until(await gateway.begin([request(0)]), *ENDED)
        assert len(await gateway.results(done["output_file_id"])) == 1
        assert len(list((tmp_path / "files" / "files").iterdir())) == 2


async def test_a_tenant_sees_its_own_and_nothing_else(gateway):
    batch = await gateway.begin([request(0)])
    done = await gateway.until(batch, *ENDED)
    files = [done["input_file_id"], done["output_file_id"]]
    for path in (f"/v1/batches/{batch}", *(f"/v1/files/{each}" for each in files)):
        assert (await gateway.ask("GET", path, tenant="other")).status == 404
        assert (await gateway.ask("DELETE", path, tenant="other")).status == 404
        assert (await gateway.ask("GET", path, tenant="nobody")).status == 401
    for path in (f"/v1/files/{files[0]}/content", f"/v1/files/{files[1]}:read"):
        assert (await gateway.ask("GET", path, tenant="other")).status == 404
        assert (await gateway.ask("GET", path, tenant="nobody")).status == 401
    cancel = await gateway.ask("POST", f"/v1/batches/{batch}/cancel", tenant="other")
    assert cancel.status == 404
    body = {"input_file_id": files[0], "endpoint": ENCODE}
    assert (await gateway.ask("POST", "/v1/batches", body, tenant="other")).status == 404
    for path in ("/v1/batches", "/v1/files"):
        assert (await gateway.ask("GET", path, tenant="other")).json["data"] == []
    unknown = await gateway.ask("POST", "/v1/files", form(b"x"), "nobody", [MULTIPART])
    assert unknown.status == 401


async def test_lists_have_pages_with_the_newest_first(gateway):
    made = [await gateway.begin([request(0)]) for _ in range(3)]
    page = (await gateway.ask("GET", "/v1/batches?limit=2")).json
    assert [each["id"] for each in page["data"]] == made[:0:-1]
    assert page["has_more"]
    rest = (await gateway.ask("GET", f"/v1/batches?limit=2&after={page['last_id']}")).json
    assert [each["id"] for each in rest["data"]] == made[:1]
    assert not rest["has_more"]
    for each in made:
        await gateway.until(each, *ENDED)
    inputs = (await gateway.ask("GET", "/v1/files?purpose=batch&limit=2")).json
    assert (len(inputs["data"]), inputs["has_more"]) == (2, True)
    outputs = (await gateway.ask("GET", "/v1/files?purpose=batch_output")).json
    assert (len(outputs["data"]), outputs["has_more"]) == (3, False)

"""Files over HTTP as no annotation can describe it.

POST  /v1/files                      multipart/form-data: `file`, `purpose`
GET   /v1/files/{file_id}/content    the content, as it is
"""

import dataclasses
import re
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.message import Message

from gateway.api import Api
from gateway.batches.file_service import INPUT, check_purpose
from gateway.batches.files import Files
from gateway.endpoint import Call
from gateway.http.blocks import body_blocks, inflated, unless_silent
from gateway.http.body import discard, is_gzip
from gateway.http.face import Request
from gateway.http.multipart import MultipartSplitter, Part, is_multipart
from gateway.http.response import Response, StreamedResponse, error_response
from gateway.numbers import integer_of
from gateway.request_id import REQUEST_ID_HEADER
from gateway.transcoder.json_out import ResponseWriter
from gateway.transcoder.routes import MethodNotAllowed
from servicekit.errors import SieError, invalid
from servicekit.payloads import FILES_TTL_S
from sie.batch.v1.file_pb2 import File
from sie.batch.v1.file_service_pb2 import CreateFileRequest, CreateFileResponse, GetFileRequest

_SERVICE = "/sie.batch.v1.FileService/"
_PATH = "/v1/files"
_CONTENT = re.compile(r"/v1/files/([^/]+)/content")
_AHEAD_BYTES = 1024 * 1024
_UPLOAD_TIMEOUT_S = 3600.0
_LONGEST_FIELD = 1024
_SHORTEST_TTL_S = 3600
_FIELDS = frozenset({"purpose", "expires_after[anchor]", "expires_after[seconds]"})


class FilesFace:
    """Answers the paths above.

    Args:
        api: knows the callers; holds FileService.
        files: of all tenants.
    """

    def __init__(self, api: Api, files: Files) -> None:
        self._api = api
        self._files = files
        self._writer = ResponseWriter(CreateFileResponse, "file")

    def serves(self, request: Request) -> bool:
        """Whether a request is for one of them."""
        if request.path == _PATH:
            content_type = request.metadata.get("content-type", "")
            return request.method == "POST" and is_multipart(content_type)
        return _CONTENT.fullmatch(request.path) is not None

    async def answer(self, request: Request) -> Response | StreamedResponse:
        """The response to a request that is served."""
        try:
            found = _CONTENT.fullmatch(request.path)
            return await (self._content(request, found[1]) if found else self._upload(request))
        except SieError as error:
            return error_response(error, request.id)

    def paths(self) -> dict[str, Any]:
        """The path of contents, as OpenAPI describes it."""
        parameter = {
            "name": "file_id",
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
        }
        binary = {"schema": {"type": "string", "contentEncoding": "binary"}}
        get = {
            "operationId": "FileService_GetContent",
            "tags": ["sie.batch.v1.FileService"],
            "summary": "The content of a file.",
            "parameters": [parameter],
            "responses": {
                "200": {
                    "description": "The content, as it was sent or written.",
                    "content": {"application/octet-stream": binary},
                },
                "401": {"$ref": "#/components/responses/401"},
                "404": {"$ref": "#/components/responses/404"},
                "503": {"$ref": "#/components/responses/503"},
            },
        }
        return {f"{_PATH}/{{file_id}}/content": {"get": get}}

    async def _content(self, request: Request, file_id: str) -> StreamedResponse:
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(request.method, request.path, ["GET"])
        if request.query:
            raise invalid("query", "this route takes no query parameters")
        asked = GetFileRequest(file_id=file_id)
        endpoint = self._api.endpoints[f"{_SERVICE}GetFile"]
        reply = await self._api.call(endpoint, asked, request.metadata, record=request.record)
        tenant = self._api.identify(request.metadata).tenant
        stored = await self._files.get(tenant, file_id)
        request.watch.start()
        headers = {"content-type": "application/octet-stream", **reply.headers}
        return StreamedResponse(200, headers, self._files.content(stored.record))

    async def _upload(self, request: Request) -> Response:
        is_gzip(request.metadata)
        splitter = MultipartSplitter(request.metadata["content-type"])

        async def keep(_request: Message, call: Call) -> Message:
            most_ahead, gone = _AHEAD_BYTES, request.watch.gone
            async with body_blocks(request.receive, most_ahead, gone) as blocks:
                read = aiter(blocks)
                form = Form(splitter, inflated(unless_silent(read), request.metadata))
                try:
                    file = await self._keep(form, call.principal.tenant)
                except SieError:
                    await discard(read)
                    raise
                return CreateFileResponse(file=file)

        endpoint = dataclasses.replace(
            self._api.endpoints[f"{_SERVICE}CreateFile"], implementation=keep
        )
        reply = await self._api.call(
            endpoint, CreateFileRequest(), request.metadata, _UPLOAD_TIMEOUT_S, request.record
        )
        headers = {"content-type": "application/json", REQUEST_ID_HEADER: request.id}
        return Response(200, self._writer.write(reply.body), headers)

    async def _keep(self, form: "Form", tenant: str) -> File:
        record = self._files.new(await form.until_file(), INPUT)
        await self._files.gather(tenant, record, form.content())
        record.file.expires_at = record.file.created_at + form.ttl_s
        await self._files.keep(tenant, record)
        return record.file


class Form:
    """A form with one file, whose other fields may stand before or behind it.

    Args:
        splitter: makes parts of blocks.
        blocks: the body.
    """

    def __init__(self, splitter: MultipartSplitter, blocks: AsyncIterator[bytes]) -> None:
        self._splitter = splitter
        self._events = self._read(blocks)
        self._fields: dict[str, str] = {}
        self.ttl_s = int(FILES_TTL_S)

    async def until_file(self) -> str:
        """The file's name.

        Raises:
            SieError: there is no file.
        """
        filename = await self._read_fields()
        if filename is None:
            raise invalid("file", "is missing")
        return filename

    async def content(self) -> AsyncIterator[bytes]:
        """The file, and then the check of the fields.

        Raises:
            SieError: the form is not in order.
        """
        following: Part | None = None
        async for event in self._events:
            if isinstance(event, Part):
                following = event
                break
            yield event
        if await self._read_fields(following) is not None:
            raise invalid("file", "given twice")
        self._check()

    async def _read_fields(self, part: Part | None = None) -> str | None:
        """Reads fields up to a file, whose name it returns, or to the end."""
        while True:
            if part is not None and part.name == "file":
                return part.filename
            value = bytearray()
            following = None
            async for event in self._events:
                if isinstance(event, Part):
                    following = event
                    break
                value += event
                if len(value) > _LONGEST_FIELD:
                    raise invalid(part.name[:80] if part else "body", "is too long")
            if part is not None:
                self._put(part.name, value.decode("utf-8", "replace"))
            if following is None:
                return None
            part = following

    def _put(self, name: str, value: str) -> None:
        if name not in _FIELDS:
            raise invalid(name[:80], "unknown field")
        if name in self._fields:
            raise invalid(name, "given twice")
        self._fields[name] = value

    def _check(self) -> None:
        check_purpose(self._fields.get("purpose", ""))
        if self._fields.get("expires_after[anchor]", "created_at") != "created_at":
            raise invalid("expires_after[anchor]", "must be created_at")
        if (text := self._fields.get("expires_after[seconds]")) is not None:
            seconds = integer_of(text) or 0
            if not _SHORTEST_TTL_S <= seconds <= FILES_TTL_S:
                bounds = f"{_SHORTEST_TTL_S} to {FILES_TTL_S:.0f}"
                raise invalid("expires_after[seconds]", f"must be {bounds}")
            self.ttl_s = seconds

    async def _read(self, blocks: AsyncIterator[bytes]) -> AsyncIterator[Part | bytes]:
        async for block in blocks:
            for event in self._splitter.add(block):
                yield event
        self._splitter.finish()

"""Reading what a client sends: JSON that cannot hurt, and uploads that stream.

FastAPI's default parser lets deep nesting, 5,000-digit integers and broken UTF-8 end in a 500. Routes made with
`JsonRoute` parse with msgspec and limits instead, and answer 422.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import msgspec
from fastapi import Request, Response
from fastapi.routing import APIRoute
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from netra.errors import InvalidInput, UnsupportedMedia
from netra.text import JSON_DEPTH, too_deep


class _JsonRequest(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json = parse_json(await self.body())
        return self._json


class JsonRoute(APIRoute):
    """A route whose JSON body is parsed by `parse_json`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            return await handle(_JsonRequest(request.scope, request.receive))

        return guarded


def parse_json(body: bytes) -> Any:
    """JSON as Python values.

    Raises:
        InvalidInput: not JSON in UTF-8, nested deeper than 64, or with a number no double can hold.
    """
    try:
        value = msgspec.json.decode(body)
    except RecursionError:
        raise InvalidInput("The body is nested too deeply.", hint=f"At most {JSON_DEPTH} levels.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The body is not JSON: {error}.") from None
    if too_deep(value):
        raise InvalidInput("The body is nested too deeply.", hint=f"At most {JSON_DEPTH} levels.")
    return value


class Upload:
    """One file of a multipart body, read as it arrives.

        upload = Upload(request)
        name = await upload.name()
        async for piece in upload.pieces(): …

    Only the part named `file` counts; others are skipped. Memory: one piece.
    """

    def __init__(self, request: Request) -> None:
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise UnsupportedMedia("Send the file as multipart/form-data, in a field named file.")
        self._stream = request.stream()
        self._name: str | None = None
        self._field = b""
        self._value = b""
        self._disposition = b""
        self._wanted = False
        self._complete = False
        self._pieces: list[bytes] = []
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._on_field,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header,
                "on_headers_finished": self._on_headers,
                "on_part_data": self._on_data,
                "on_part_end": self._on_end,
            },
        )

    async def name(self) -> str:
        """The file's name, as the client gives it.

        Raises:
            InvalidInput: the body has no file.
        """
        while self._name is None:
            await self._feed()
        return self._name

    async def pieces(self) -> AsyncIterator[bytes]:
        """The file's bytes."""
        await self.name()
        while True:
            pieces, self._pieces = self._pieces, []
            for piece in pieces:
                yield piece
            if self._complete:
                break
            await self._feed()
        async for _ in self._stream:  # what follows the file is read and ignored, so that the answer can be read
            pass

    async def _feed(self) -> None:
        try:
            chunk = await anext(self._stream)
        except StopAsyncIteration:
            chunk = b""
        try:
            self._parser.write(chunk)
        except MultipartParseError:
            raise InvalidInput("The body is not multipart/form-data.", field="file") from None
        if not chunk and not self._complete:
            raise InvalidInput(
                "The upload has no file." if self._name is None else "The upload ended in the middle.", field="file"
            )
        await asyncio.sleep(0)

    def _begin(self) -> None:
        self._field = self._value = self._disposition = b""

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._wanted = options.get(b"name") == b"file" and not self._complete
        if self._wanted:
            self._name = options.get(b"filename", b"").decode("utf-8", "replace")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._wanted:
            self._pieces.append(data[start:end])

    def _on_end(self) -> None:
        if self._wanted:
            self._wanted, self._complete = False, True

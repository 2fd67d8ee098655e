"""JSON that cannot hurt, and uploads in whatever pieces they arrive."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterable

import msgspec
import pytest
from fastapi import Request
from hypothesis import given, settings
from hypothesis import strategies as st

from netra.errors import InvalidInput, NetraError, UnsupportedMedia
from netra.gateway.http.body import Upload, parse_json


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b'{"a": ',
        b'"\xff\xfe"',
        b'"\\ud800"',
        b"9" * 5000,
        b'{"a": -' + b"9" * 5000 + b"}",
        b"1e999",
        b"NaN",
        b"[" * 65 + b"]" * 65,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
)
def test_bad_json_is_refused_with_a_reason(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_json(body)


def test_json_of_64_levels_is_taken() -> None:
    assert parse_json(b"[" * 64 + b"]" * 64)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: json.dumps(text).encode()))
def test_whatever_arrives_is_json_or_refused(body: bytes) -> None:
    try:
        value = parse_json(body)
    except InvalidInput:
        return
    msgspec.json.encode(value)  # what was taken can be stored and sent


BOUNDARY = "----netra-test"


def multipart(parts: Iterable[tuple[str, str | None, bytes]]) -> bytes:
    out = b""
    for name, filename, content in parts:
        disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename is not None else "")
        out += f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"
    return out + f"--{BOUNDARY}--\r\n".encode()


def request_of(chunks: Iterable[bytes], content_type: str = f"multipart/form-data; boundary={BOUNDARY}") -> Request:
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    waiting = iter(messages)

    async def receive() -> dict[str, object]:
        return next(waiting)

    headers = [(b"content-type", content_type.encode("latin-1"))]
    return Request({"type": "http", "method": "POST", "path": "/api/files", "headers": headers}, receive)


async def read(request: Request) -> tuple[str, bytes]:
    upload = Upload(request)
    name = await upload.name()
    return name, b"".join([piece async for piece in upload.pieces()])


def cut(body: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = sorted({0, len(body), *(place % (len(body) + 1) for place in cuts)})
    return [body[start:end] for start, end in itertools.pairwise(places)]


@settings(deadline=None)
@given(
    content=st.binary(max_size=300) | st.sampled_from([f"\r\n--{BOUNDARY}x".encode(), b"\r\n--", b"\r\n" * 20]),
    cuts=st.lists(st.integers(0, 10_000), max_size=30),
    name=st.text(st.characters(exclude_characters='"\\\r\n\0', exclude_categories=["Cs"]), min_size=1, max_size=20),
)
def test_a_file_is_read_whole_wherever_its_pieces_were_cut(content: bytes, cuts: list[int], name: str) -> None:
    body = multipart([("note", None, b"skip me"), ("file", name, content), ("file", "second", b"not this one")])
    assert asyncio.run(read(request_of(cut(body, cuts)))) == (name, content)


async def test_a_file_is_read_whole_byte_by_byte() -> None:
    content = bytes(range(256)) + f"\r\n--{BOUNDARY[:-1]}\r\n".encode()
    body = multipart([("file", "a.csv", content)])
    assert await read(request_of([body[i : i + 1] for i in range(len(body))])) == ("a.csv", content)


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=300), cuts=st.lists(st.integers(0, 1000), max_size=5))
def test_any_other_bytes_are_refused(body: bytes, cuts: list[int]) -> None:
    prefixed = f"--{BOUNDARY}".encode() + body
    for data in (body, prefixed):
        try:
            asyncio.run(read(request_of(cut(data, cuts))))
        except NetraError:
            continue


@pytest.mark.parametrize(
    "body",
    [
        b"",
        multipart([("other", "a.csv", b"x")]),
        multipart([("file", "a.csv", b"x" * 500)])[:-200],
        multipart([("file", "a.csv", b"x")]).replace(b"Content-Disposition", b"X-Disposition"),
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="'.encode() + b"a" * 100_000,
        f"--{BOUNDARY}\r\n".encode() + b"a: b\r\n" * 10_000,
    ],
    ids=["empty", "no file", "cut short", "no disposition", "endless header", "endless headers"],
)
async def test_an_upload_without_a_whole_file_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        await read(request_of([body[i : i + 1000] for i in range(0, len(body), 1000)]))


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\xff"],
)
async def test_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises((UnsupportedMedia, InvalidInput)):
        await read(request_of([multipart([("file", "a", b"x")])], content_type))

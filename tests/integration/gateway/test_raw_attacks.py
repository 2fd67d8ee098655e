"""Bytes that no honest client sends: every one is refused politely or cut off, and the server goes on."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from support.accounts import Account, register
from support.server import ServerProcess
from support.waiting import block_until

HEAD_SECONDS = 1.0
BODY_SECONDS = 1.5


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with little patience. After every attack it must still answer, with no traceback in its log."""
    environment = {
        "NETRA_ALLOW_REGISTRATION": "true",
        "NETRA_HEADER_SECONDS": str(HEAD_SECONDS),
        "NETRA_BODY_SECONDS": str(BODY_SECONDS),
        "NETRA_FILE_BYTES": str(1024 * 1024),
        "NETRA_SOCKETS_PER_ADDRESS": "64",
    }
    with ServerProcess(tmp_path_factory.mktemp("target"), environment=environment) as server:
        yield server
        assert failures(server) == []


@pytest.fixture(scope="module")
def ann(target: ServerProcess) -> Account:
    return register(target.base_url)


@pytest.fixture(autouse=True)
def _still_there(target: ServerProcess, ann: Account) -> Iterator[None]:
    yield
    with ann.client() as client:
        assert client.get("/api/threads").status_code == 200
    assert failures(target) == []


def failures(server: ServerProcess) -> list[str]:
    """What the server logged that should not happen, whatever is sent."""
    return [line[:3000] for line in server.output.splitlines() if "Traceback" in line or '"level": "error"' in line]


def exchange(server: ServerProcess, data: bytes, *, timeout: float = 10) -> bytes:
    """Send bytes and return everything that comes back until the server closes or has answered."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as connection:
        with suppress(ConnectionError):  # it may have heard enough before the end
            connection.sendall(data)
        return receive(connection)


def receive(connection: socket.socket) -> bytes:
    received = b""
    try:
        while True:
            piece = connection.recv(65_536)
            if not piece:
                break
            received += piece
            head, separator, body = received.partition(b"\r\n\r\n")
            length = next((h for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:")), None)
            if separator and length is not None and len(body) >= int(length.split(b":")[1]):
                break
    except ConnectionError:
        pass
    return received


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def request(ann: Account, method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {ann.access_token}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


# Heads


@pytest.mark.parametrize(
    "head",
    [
        "GET /health/live HTTP/1.1\r\n\r\n",
        "GET /health/live HTTP/1.0\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "POST /api/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /api/messages HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "POST /api/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "POST /api/messages HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        "POST /api/messages HTTP/1.1\r\nHost: a\r\nContent-Length: " + "9" * 30 + "\r\n\r\n",
        "POST /api/messages HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked, x\r\n\r\n0\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        "G\0T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n\n" + "\x16\x03\x01",
        "GET http://[::1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "hello\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_proper_request_is_refused(target: ServerProcess, head: str) -> None:
    answer = exchange(target, head.encode("latin-1"))
    assert status(answer) in (0, 200, 400, 404, 413, 501), answer[:300]
    if "Host" not in head or "Host: a\r\nHost" in head or "Transfer-Encoding" in head:
        assert status(answer) in (0, 400), answer[:300]


def test_a_socket_with_two_hosts_or_none_is_refused(target: ServerProcess, ann: Account) -> None:
    rest = (
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Sec-WebSocket-Version: 13\r\nAuthorization: Bearer {ann.access_token}\r\n\r\n"
    )
    for hosts in ("", "Host: a\r\nHost: b\r\n"):
        assert status(exchange(target, f"GET /ws HTTP/1.1\r\n{hosts}{rest}".encode())) == 400
    for broken in ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Connection: Upgrade"):
        answer = exchange(target, f"GET /ws HTTP/1.1\r\nHost: a\r\n{rest.replace(broken, 'X: y')}".encode())
        assert 400 <= status(answer) < 500, (broken, answer[:200])


def test_an_endless_head_is_cut_off(target: ServerProcess) -> None:
    endless = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 1_000_000
    assert status(exchange(target, endless)) in (0, 400, 431)
    many = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(50_000))
    assert status(exchange(target, many)) in (0, 400, 431)


def test_a_head_that_trickles_is_cut_off_at_its_deadline(target: ServerProcess) -> None:
    for opening in (b"", b"GET / HTTP/1.1\r\nHost: a\r\nX: "):
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", target.port), timeout=10) as connection:
            connection.sendall(opening)
            connection.settimeout(0.1)
            while time.monotonic() - began < 5:
                try:
                    if opening:
                        connection.sendall(b"a")
                    if not connection.recv(100):
                        break
                except TimeoutError:
                    continue
                except ConnectionError:
                    break
        assert HEAD_SECONDS * 0.8 < time.monotonic() - began < HEAD_SECONDS + 1.5


def test_the_second_head_on_a_connection_has_a_deadline_too(target: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", target.port), timeout=10) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\nGET /health/live HTTP/1.1\r\nX:")
        assert status(receive(connection)) == 200
        began = time.monotonic()
        assert receive(connection) == b""
        assert time.monotonic() - began < HEAD_SECONDS + 1.5


def test_honest_requests_on_one_connection_are_all_answered(target: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", target.port), timeout=10) as connection:
        for _ in range(3):
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
            assert status(receive(connection)) == 200
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n" * 5)
        received = b""
        while received.count(b"HTTP/1.1 200") < 5:
            piece = connection.recv(65_536)
            assert piece
            received += piece


# Bodies


def test_a_body_that_trickles_is_answered_408_at_its_deadline(target: ServerProcess, ann: Account) -> None:
    for path, content_type in (
        ("/api/messages", "application/json"),
        ("/api/files", "multipart/form-data; boundary=b"),
    ):
        head = request(ann, "POST", path).replace(b"Content-Length: 0", b"Content-Length: 1000")
        head = head.replace(b"application/json", content_type.encode())
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", target.port), timeout=10) as connection:
            connection.sendall(head + b"--b\r\n")
            connection.settimeout(0.1)
            received = b""
            while b"\r\n\r\n" not in received and time.monotonic() - began < 6:
                try:
                    connection.sendall(b"a")
                    received += connection.recv(65_536)
                except TimeoutError:
                    continue
                except ConnectionError:
                    break
        assert status(received) == 408, received[:300]
        assert time.monotonic() - began < BODY_SECONDS + 1.5


def test_the_rest_of_a_body_that_was_refused_does_not_keep_the_connection(target: ServerProcess, ann: Account) -> None:
    head = request(ann, "POST", "/api/nowhere").replace(b"Content-Length: 0", b"Content-Length: 900000")
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", target.port), timeout=10) as connection:
        connection.sendall(head)
        connection.settimeout(0.1)
        ended = False
        while not ended and time.monotonic() - began < 10:
            try:
                connection.sendall(b"a")
                ended = not connection.recv(65_536)
            except TimeoutError:
                continue
            except ConnectionError:
                ended = True
    assert ended
    assert time.monotonic() - began < BODY_SECONDS + 6


DEEP = b"[" * 100_000 + b"]" * 100_000
MESSAGE = b'{"id":"attack","content":%b}'
BODIES = {
    "deep": DEEP,
    "deep in a field": MESSAGE % DEEP,
    "deep object": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "5,000 digits": b'{"id":"a","content":"b","base_seq":%b}' % (b"9" * 5000),
    "65 bits": b'{"id":"a","content":"b","base_seq":18446744073709551616}',
    "negative": b'{"id":"a","content":"b","base_seq":-1}',
    "infinite": b'{"id":"a","content":"b","base_seq":1e999}',
    "NaN": b'{"id":"a","content":"b","base_seq":NaN}',
    "broken utf-8": MESSAGE % b'"\xff\xfe"',
    "half a surrogate pair": MESSAGE % b'"\\ud800"',
    "half a surrogate pair as key": b'{"\\ud800":1}',
    "NUL": MESSAGE % b'"a\\u0000b"',
    "NUL in the key": b'{"id":"a\\u0000","content":"b"}',
    "NUL in a file": b'{"id":"a","content":"b","attachments":["\\u0000"]}',
    "NUL in an agent": b'{"id":"a","content":"b","agent":"\\u0000"}',
    "unknown field": b'{"id":"a","content":"b","\\u0000\\u202e":1}',
    "empty": b"",
    "no json": b"hello",
    "a list": b"[]",
    "null": b"null",
    "too long": MESSAGE % (b'"' + b"x" * 40_000 + b'"'),
    "nothing to say": MESSAGE % b'" \\n "',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_bad_body_is_422_with_a_problem_document(target: ServerProcess, ann: Account, body: bytes) -> None:
    answer = exchange(target, request(ann, "POST", "/api/messages", body))
    assert status(answer) == 422, answer[:400]
    problem = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert problem["code"] == "invalid_input"
    assert "/work" not in json.dumps(problem)


@pytest.mark.parametrize("path", ["/api/messages", "/api/files"])
def test_a_body_over_its_limit_is_413(target: ServerProcess, ann: Account, path: str) -> None:
    declared = request(ann, "POST", path).replace(b"Content-Length: 0", b"Content-Length: 99999999")
    assert status(exchange(target, declared)) == 413
    head = request(ann, "POST", path).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    head = head.replace(
        b"application/json", b"multipart/form-data; boundary=b" if "files" in path else b"application/json"
    )
    chunks = b"%x\r\n%b\r\n" % (len(part), part) + b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    answer = exchange(target, head + chunks + (b"10000\r\n" + b"x" * 65_536 + b"\r\n") * 40)
    assert status(answer) in (0, 413), answer[:300]  # 0: it was still sending when the answer was given


def test_a_client_that_leaves_in_the_middle_of_a_body_is_nobodys_failure(target: ServerProcess, ann: Account) -> None:
    for path, content_type in (
        ("/api/messages", b"application/json"),
        ("/api/files", b"multipart/form-data; boundary=b"),
    ):
        head = request(ann, "POST", path).replace(b"Content-Length: 0", b"Content-Length: 1000")
        with socket.create_connection(("127.0.0.1", target.port), timeout=10) as connection:
            part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nhalf'
            connection.sendall(head.replace(b"application/json", content_type) + part)
            time.sleep(0.05)  # so that the request has begun


# Addresses


@pytest.mark.parametrize(
    "path",
    [
        "/" + "a" * 300,
        "/" + "a" * 300 + ".js",
        "/assets/" + "a" * 5000 + ".js",
        "/%00.js",
        "/assets/..%2f..%2fconfig.py",
        "/assets/%2e%2e/%2e%2e/config.py",
        "/..%5c..%5cconfig.py",
        "/.git/config",
        "/%ff%fe.js",
        "/api/threads/%00",
        "/api/threads/" + "a" * 3000,
        "/api/threads/%ff%fe",
        "/api/threads/x/events?after=" + "9" * 5000,
        "/api/threads/x/events?after=-1",
        "/api/threads/x/events?limit=0",
        "/api/threads?limit=1e9",
        "/api/threads?cursor=1.%00",
        "/api/threads?cursor=" + "9" * 40 + ".x",
        "/api/threads?q=%00",
        "/api/threads?q=%ff",
        "/api/threads?q=" + "x" * 5000,
        "/api/threads?q=%25_%5c'%22;--",
        "/api/runs/%00",
        "/api/files/%00",
        "/api/files/..%2f..%2fnetra.db",
        "/api/blobs/%00",
        "/api/agents/%00/sample",
        "/api/agents/..%2f/sample",
        "/api/openapi.json?" + "a=b&" * 5000,
    ],
)
def test_no_address_breaks_the_server(target: ServerProcess, ann: Account, path: str) -> None:
    answer = exchange(target, request(ann, "GET", path))
    assert status(answer) in (200, 400, 404, 414, 422), answer[:300]
    assert b"def " not in answer
    assert b"SQLite format" not in answer


# Sockets


def open_ws(server: ServerProcess, ann: Account) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(
        (
            "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {ann.access_token}\r\n\r\n"
        ).encode()
    )
    received = b""
    while b"connection_established" not in received:
        piece = connection.recv(4096)
        assert piece, received
        received += piece
    return connection


def masked(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65_536:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    return bytes([opcode | (0x80 if final else 0)]) + length + b"\0\0\0\0" + payload


FRAMES = {
    "unmasked": (b"\x81\x05hello", 1002),
    "reserved bits": (b"\xf1\x80\0\0\0\0", 1002),
    "unknown opcode": (masked(0x3, b"x"), 1002),
    "long ping": (masked(0x9, b"x" * 126), 1002),
    "fragmented ping": (masked(0x9, b"x", final=False), 1002),
    "continuation of nothing": (masked(0x0, b"x"), 1002),
    "broken utf-8": (masked(0x1, b"\xff\xfe"), 1007),
    "surrogate in utf-8": (masked(0x1, b"\xed\xa0\x80"), 1007),
    "too large": (masked(0x1, b"x" * 70_000), 1009),
    "too large in pieces": (masked(0x1, b"x" * 40_000, final=False) + masked(0x0, b"x" * 40_000), 1009),
    "bad close code": (masked(0x8, b"\x00\x01"), 1002),
}


@pytest.mark.parametrize(("frames", "code"), FRAMES.values(), ids=FRAMES.keys())
def test_frames_that_break_the_protocol_close_their_own_socket(
    target: ServerProcess, ann: Account, frames: bytes, code: int
) -> None:
    with open_ws(target, ann) as connection, open_ws(target, ann) as other:
        with suppress(ConnectionError):
            connection.sendall(frames)
        received = receive(connection)
        assert code.to_bytes(2, "big") in received, received
        other.sendall(masked(0x1, b'{"type":"ping"}'))
        assert b"pong" in other.recv(4096)


def test_a_frame_that_claims_to_be_huge_costs_nothing(target: ServerProcess, ann: Account) -> None:
    with open_ws(target, ann) as connection:
        connection.sendall(b"\x81\xff" + (2**62).to_bytes(8, "big") + b"\0\0\0\0" + b"x" * 200_000)
        assert (1009).to_bytes(2, "big") in receive(connection)


def test_bad_messages_on_a_socket_are_answered_and_it_stays_open(target: ServerProcess, ann: Account) -> None:
    with open_ws(target, ann) as connection:
        for body in (
            b'{"type":"subscribe","thread_id":"\\u0000"}',
            b'{"type":"subscribe","thread_id":"' + b"x" * 5000 + b'"}',
            b'{"type":"subscribe","thread_id":"x","after":' + b"9" * 5000 + b"}",
            b'{"type":"cancel_run","run_id":"\\u0000"}',
            b'{"type":"resolve_approval","approval_id":"\\u0000","decision":"x"}',
            b'{"type":"user_message","id":"\\u0000","content":"x"}',
            b'{"type":"user_message","id":"k","content":"\\u0000"}',
            b'{"type":"user_message","id":"k","content":"x","thread_id":"\\u0000"}',
            b'{"type":"user_message","id":"k","content":"x","attachments":["\\u0000"]}',
            b'{"type":"\\ud800"}',
            b"[" * 30_000 + b"]" * 30_000,
        ):
            connection.sendall(masked(0x1, body))
            answer = connection.recv(65_536)
            assert b'"type":"error"' in answer, (body[:80], answer)
            assert b'"internal"' not in answer, (body[:80], answer)
        connection.sendall(masked(0x1, b'{"type":"ping"}'))
        assert b"pong" in connection.recv(4096)


def test_one_address_has_a_limited_number_of_connections(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(environment={"NETRA_SOCKETS_PER_ADDRESS": "5", "NETRA_HEADER_SECONDS": "60"})
    held = [socket.create_connection(("127.0.0.1", server.port), timeout=5) for _ in range(5)]
    asks = b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    block_until(lambda: status(exchange(server, asks)) == 0, "a sixth connection to be refused")
    held.pop().close()
    block_until(lambda: status(exchange(server, asks)) == 200, "a place that came free to be given again")
    for connection in held:
        connection.close()


def test_a_trusted_proxy_may_open_any_number(start_server: Callable[..., ServerProcess]) -> None:
    limits = {"NETRA_SOCKETS_PER_ADDRESS": "2", "NETRA_TRUSTED_PROXIES": '["127.0.0.0/8"]'}
    server = start_server(environment=limits)
    held = [socket.create_connection(("127.0.0.1", server.port), timeout=5) for _ in range(5)]
    assert status(exchange(server, b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")) == 200
    for connection in held:
        connection.close()

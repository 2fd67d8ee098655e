"""`/ws` on a real server: replay then live, every tab, nobody else, and no harm from those who misbehave."""

from __future__ import annotations

import asyncio
import json
import re
import socket as raw_socket
import uuid
from collections.abc import Callable
from contextlib import suppress

import httpx
import psutil
import pytest
import websockets
from websockets.asyncio.client import connect

from support.accounts import Account, sign_in
from support.runs import until_ended
from support.server import ServerProcess
from support.sockets import Reader, open_socket, read_stream
from support.waiting import until


def key() -> str:
    return uuid.uuid4().hex


async def send(account: Account, content: str, agent: str = "talk", thread_id: str | None = None) -> dict[str, object]:
    async with account.async_client() as client:
        path = f"/api/threads/{thread_id}/messages" if thread_id else "/api/messages"
        answer = await client.post(path, json={"id": key(), "content": content, "agent": agent})
        assert answer.status_code == 202, answer.text
        return dict(answer.json())


async def log_of(account: Account, thread_id: object, after: int = 0) -> list[dict[str, object]]:
    events: list[dict[str, object]] = []
    async with account.async_client() as client:
        while True:
            answer = await client.get(f"/api/threads/{thread_id}/events", params={"after": after, "limit": 1000})
            page = answer.json()
            events += page["events"]
            if not page["events"] or page["events"][-1]["seq"] >= page["last_seq"]:
                return events
            after = page["events"][-1]["seq"]


async def nobody_is_connected(account: Account, kind: str) -> None:
    """Return when the server counts no connections of a kind."""
    async with account.async_client() as client:

        async def none() -> bool:
            return f'netra_connections{{kind="{kind}"}} 0.0' in (await client.get("/metrics")).text

        await until(none, f"the end of every {kind}")


async def seen_to_end(account: Account, thread_id: object, runs: int = 1) -> None:
    async with open_socket(account) as socket:
        await socket.send("subscribe", thread_id=thread_id)
        for number in range(runs):
            seen = 0

            def enough(frame: dict[str, object], number: int = number) -> bool:
                nonlocal seen
                seen += frame["type"] == "agent_completed"
                return seen > number

            await socket.wait(enough, timeout=60)


async def test_a_subscription_replays_then_says_so_then_goes_on(ann: Account) -> None:
    sent = await send(ann, "20 10 3")
    await seen_to_end(ann, sent["thread_id"])
    async with open_socket(ann) as socket:
        await socket.send("subscribe", thread_id=sent["thread_id"], after=1)
        live = await socket.of_type("live", thread_id=sent["thread_id"])
        assert socket.events(str(sent["thread_id"])) == await log_of(ann, sent["thread_id"], after=1)
        assert live["seq"] == socket.events(str(sent["thread_id"]))[-1]["seq"]
        replayed = len(socket.frames)
        ack = await socket.ask("user_message", id=key(), content="50 10 3", thread_id=sent["thread_id"])
        assert (ack["type"], ack["seq"]) == ("ack", live["seq"] + 1)
        await socket.of_type("agent_completed", start=replayed, run_id=ack["run_id"])
        reader = Reader(1)
        assert all(reader.take(event) for event in socket.events(str(sent["thread_id"])))
        assert {e["type"] for e in reader.applied} >= {"user_message", "agent_started", "text_delta", "tool_completed"}


async def test_two_tabs_are_given_the_same_whatever_the_moment_they_came(ann: Account) -> None:
    sent = await send(ann, "300 10 20")
    async with open_socket(ann) as first, open_socket(ann) as second:
        readers = []
        for socket in (first, second):
            await socket.send("subscribe", thread_id=sent["thread_id"])
        for socket in (first, second):
            await socket.of_type("agent_completed", timeout=60)
            reader = Reader()
            assert all(reader.take(event) for event in socket.events(str(sent["thread_id"])))
            readers.append(reader)
        lasting = await log_of(ann, sent["thread_id"])
        for reader in readers:
            assert [e["seq"] for e in lasting] == [e["seq"] for e in reader.applied if e["type"] != "text_delta"]


async def test_thread_changed_reaches_every_socket_of_the_user_and_nobody_else(ann: Account, bob: Account) -> None:
    async with open_socket(ann) as one, open_socket(ann) as two, open_socket(bob) as other:
        async with ann.async_client() as client:
            created = (await client.post("/api/threads", json={"title": "Mine"})).json()
            for socket in (one, two):
                changed = await socket.of_type("thread_changed", id=created["id"])
                assert (changed["title"], changed["deleted"]) == ("Mine", False)
            await client.patch(f"/api/threads/{created['id']}", json={"title": "Renamed"})
            for socket in (one, two):
                await socket.of_type("thread_changed", title="Renamed")
            await client.delete(f"/api/threads/{created['id']}")
            for socket in (one, two):
                await socket.of_type("thread_changed", id=created["id"], deleted=True)
        assert (await other.ask("ping"))["type"] == "pong"
        assert [f["type"] for f in other.frames] == ["connection_established", "pong"]


async def test_after_unsubscribing_nothing_more_comes(ann: Account) -> None:
    sent = await send(ann, "1 1")
    await seen_to_end(ann, sent["thread_id"])
    async with open_socket(ann) as socket:
        await socket.send("subscribe", thread_id=sent["thread_id"])
        await socket.of_type("live")
        assert (await socket.ask("unsubscribe", thread_id=sent["thread_id"]))["type"] == "ack"
        before = socket.events(str(sent["thread_id"]))
        ack = await socket.ask("user_message", id=key(), content="5 1", thread_id=sent["thread_id"])
        await socket.of_type("thread_changed", running=False, start=len(before))
        await seen_to_end(ann, sent["thread_id"], runs=2)
        assert ack["type"] == "ack"
        assert socket.events(str(sent["thread_id"])) == before


async def test_a_run_is_cancelled_over_the_socket_and_ends_once(ann: Account) -> None:
    async with open_socket(ann) as socket:
        ack = await socket.ask("user_message", id=key(), content="work", agent="hang")
        await socket.send("subscribe", thread_id=ack["thread_id"])
        await socket.of_type("agent_thinking")
        start = len(socket.frames)
        await socket.send("cancel_run", run_id=ack["run_id"])
        await socket.of_type("ack", start=start, run_id=ack["run_id"])
        ended = await socket.of_type("agent_completed")
        assert ended["status"] == "cancelled"
        await socket.send("cancel_run", run_id=ack["run_id"])
        await socket.of_type("ack", start=start + 2, run_id=ack["run_id"])
    ends = [e for e in await log_of(ann, ack["thread_id"]) if e["type"] == "agent_completed"]
    assert len(ends) == 1


async def test_the_same_id_again_gives_the_same_answer_and_no_second_run(ann: Account, bob: Account) -> None:
    command = {"id": key(), "content": "1 1"}
    async with open_socket(ann) as one, open_socket(ann) as two, open_socket(bob) as other:
        answers = await asyncio.gather(*(s.ask("user_message", **command) for s in (one, two)))
        answers.append(await one.ask("user_message", **command))
        assert answers[0]["type"] == "ack"
        assert answers[0] == answers[1] == answers[2]
        async with ann.async_client() as client:
            again = await client.post("/api/messages", json=command)
            assert again.json()["run_id"] == answers[0]["run_id"]
        different = await one.ask("user_message", **{**command, "content": "2 1"})
        assert (different["type"], different["code"]) == ("error", "conflict")
        somebody = await other.ask("user_message", **command)  # keys belong to their user
        assert somebody["run_id"] != answers[0]["run_id"]
    await seen_to_end(ann, answers[0]["thread_id"])
    assert len([e for e in await log_of(ann, answers[0]["thread_id"]) if e["type"] == "user_message"]) == 1


async def test_a_stale_base_seq_is_a_conflict_with_what_was_missed(ann: Account) -> None:
    sent = await send(ann, "1 1")
    await seen_to_end(ann, sent["thread_id"])
    log = await log_of(ann, sent["thread_id"])
    async with open_socket(ann) as socket:
        command = {"content": "1 1", "thread_id": sent["thread_id"]}
        stale = await socket.ask("user_message", id=key(), base_seq=1, **command)
        assert (stale["code"], stale["thread_id"]) == ("conflict", sent["thread_id"])
        assert stale["missed"] == log[1:]
        fresh = await socket.ask("user_message", id=key(), base_seq=log[-1]["seq"], **command)
        assert fresh["type"] == "ack"
    async with ann.async_client() as client:
        path = f"/api/threads/{sent['thread_id']}/messages"
        answer = await client.post(path, json={"id": key(), "content": "1 1", "base_seq": 1})
        assert answer.status_code == 409
        assert answer.json()["missed"][: len(log) - 1] == log[1:]


async def test_an_approval_is_answered_over_the_socket(ann: Account) -> None:
    async with open_socket(ann) as socket:
        ack = await socket.ask("user_message", id=key(), content="?", agent="ask")
        await socket.send("subscribe", thread_id=ack["thread_id"])
        asked = await socket.of_type("approval_requested")
        start = len(socket.frames)
        command = {"approval_id": asked["approval_id"], "decision": "approved", "payload": {"n": 1}}
        await socket.send("resolve_approval", **command)
        await socket.of_type("ack", start=start)
        resolved = await socket.of_type("approval_resolved", approval_id=asked["approval_id"])
        assert (resolved["decision"], resolved["by"], resolved["payload"]) == ("approved", ann.id, {"n": 1})
        assert (await socket.of_type("agent_completed"))["final_response"] == "approved"
        assert (await socket.ask("resolve_approval", **command))["type"] == "ack"
        other = await socket.ask("resolve_approval", approval_id=asked["approval_id"], decision="denied")
        assert other["code"] == "conflict"


async def test_a_reader_that_does_not_read_is_told_to_resync_and_loses_nothing(ann: Account) -> None:
    """The server keeps a bounded number of bytes for it; what it missed, it reads from the log."""
    created = await send(ann, "1 1")
    await seen_to_end(ann, created["thread_id"])
    with raw_socket.socket() as small:
        small.setsockopt(raw_socket.SOL_SOCKET, raw_socket.SO_RCVBUF, 32_768)  # the kernel must not read for it
        small.connect(("127.0.0.1", httpx.URL(ann.base_url).port))
        small.setblocking(False)
        await stop_reading_and_resume(ann, small, str(created["thread_id"]))


async def test_a_reader_that_knows_more_than_the_log_is_told_where_the_log_ends(ann: Account) -> None:
    """As after the restore of a backup: without a word, everything new would look like a duplicate to it."""
    created = await send(ann, "1 1")
    await seen_to_end(ann, created["thread_id"])
    path = f"/api/threads/{created['thread_id']}/events"
    last = (await log_of(ann, created["thread_id"]))[-1]["seq"]
    async with open_socket(ann) as socket:
        await socket.send("subscribe", thread_id=created["thread_id"], after=last + 5)
        assert (await socket.of_type("resync"))["after"] == last
        await socket.send("subscribe", thread_id=created["thread_id"], after=last)
        assert (await socket.of_type("live"))["seq"] == last
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(last + 5)}
    async with ann.async_client() as client, client.stream("GET", path, headers=headers) as answer:
        lines = []
        async for line in answer.aiter_lines():
            lines.append(line)
            if line == ": caught up":
                await send(ann, "1 1", thread_id=str(created["thread_id"]))
            if line.startswith("data: "):
                break
    assert f": the log ends at {last}, before your place, and goes on from there" in lines
    assert lines[-2:][0] == f"id: {last + 1}"


async def stop_reading_and_resume(ann: Account, small: raw_socket.socket, thread_id: str) -> None:
    async with open_socket(ann, max_queue=1, sock=small) as socket:
        await socket.send("subscribe", thread_id=thread_id)
        await socket.of_type("live")
        transport = socket.connection.transport
        transport.pause_reading()
        sent = await send(ann, "200 60000 singly", "flood", thread_id)
        await until_ended(ann, sent["run_id"])
        transport.resume_reading()
        resync = await socket.of_type("resync", timeout=60)
        reader = Reader()
        assert all(reader.take(event) for event in socket.events(thread_id))
        assert resync["after"] == reader.last
        start = len(socket.frames)
        await socket.send("subscribe", thread_id=thread_id, after=resync["after"])
        await socket.of_type("live", start=start, timeout=60)
        assert all(reader.take(event) for event in socket.events(thread_id))
        lasting = await log_of(ann, thread_id)
        assert [e["seq"] for e in reader.applied if e["type"] != "text_delta"] == [e["seq"] for e in lasting]


async def test_readers_that_do_not_read_cost_the_server_a_bounded_amount_of_memory(
    chat: ServerProcess, ann: Account
) -> None:
    sent = await send(ann, "1500 8000", "flood")  # 12 MB of log
    await seen_to_end(ann, sent["thread_id"])
    process = psutil.Process(chat.pid)
    before = process.memory_info().rss
    sockets = []
    for _ in range(20):
        headers = {"additional_headers": ann.headers, "proxy": None}
        socket = await connect(chat.ws_url, max_queue=1, max_size=None, **headers)
        await socket.recv()
        socket.transport.pause_reading()
        for after in range(5):  # the same log again and again, from one place and another
            await socket.send(json.dumps({"type": "subscribe", "thread_id": sent["thread_id"], "after": after}))
            await socket.send(
                json.dumps(
                    {"type": "user_message", "id": key(), "content": "x", "base_seq": 3, "thread_id": sent["thread_id"]}
                )
            )
        sockets.append(socket)
    async with open_socket(ann) as other:  # by the time it is served, the others have been written to
        await other.send("subscribe", thread_id=sent["thread_id"])
        await other.of_type("live", timeout=60)
    grown = process.memory_info().rss - before
    for socket in sockets:
        socket.transport.abort()
    assert grown < 20 * 3 * 1024 * 1024, f"{grown / 1e6:.0f} MB for 20 readers"


# Who may come in


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"}])
async def test_nobody_gets_in_without_credentials(chat: ServerProcess, headers: dict[str, str]) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connect(chat.ws_url, additional_headers=headers, proxy=None)
    assert refused.value.response.status_code == 401
    problem = json.loads(refused.value.response.body or b"")
    assert problem["code"] == "not_authenticated"


async def test_a_cookie_counts_only_from_the_servers_own_pages(chat: ServerProcess, ann: Account) -> None:
    answer = httpx.post(
        f"{chat.base_url}/api/auth/login", json={"email": ann.email, "password": ann.password}, trust_env=False
    )
    cookie = {"Cookie": f"netra_session={answer.cookies['netra_session']}"}
    for origin in ("https://evil.example", "null", chat.base_url + ".evil.example", f"{chat.base_url}0", None):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(chat.ws_url, additional_headers=cookie, origin=origin, proxy=None)
        assert refused.value.response.status_code == 403, origin
    async with connect(chat.ws_url, additional_headers=cookie, origin=chat.base_url, proxy=None) as socket:
        assert json.loads(await socket.recv())["user"]["email"] == ann.email


async def test_a_ticket_opens_one_socket(chat: ServerProcess, ann: Account) -> None:
    async with ann.async_client() as client:
        ticket = (await client.post("/api/tickets")).json()["ticket"]
    async with connect(f"{chat.ws_url}?ticket={ticket}", proxy=None) as socket:
        assert json.loads(await socket.recv())["user"]["id"] == ann.id
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connect(f"{chat.ws_url}?ticket={ticket}", proxy=None)
    assert refused.value.response.status_code == 401
    assert ticket not in chat.output


async def test_another_protocol_is_refused(chat: ServerProcess, ann: Account) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connect(chat.ws_url, additional_headers=ann.headers, subprotocols=["netra.v9"], proxy=None)
    assert refused.value.response.status_code == 400


async def test_a_login_that_ends_takes_its_socket_with_it_within_a_second(ann: Account) -> None:
    other = sign_in(ann.base_url, ann.email, ann.password)
    async with open_socket(ann) as socket, open_socket(other) as stays:
        async with ann.async_client() as client:
            assert (await client.post("/api/auth/logout")).status_code == 204
        assert await socket.close_code_within(1.0) == 4401
        assert (await stays.ask("ping"))["type"] == "pong"
        async with other.async_client() as client:
            body = {"current": ann.password, "new": "another battery staple horse"}
            assert (await client.post("/api/auth/password", json=body)).status_code == 204
    third = sign_in(ann.base_url, ann.email, body["new"])
    async with open_socket(third) as socket:
        assert (await socket.ask("ping"))["type"] == "pong"


# Those who misbehave


async def test_fifty_messages_that_make_no_sense_close_the_socket_and_fewer_do_not(ann: Account) -> None:
    async with open_socket(ann) as socket:
        for number in range(49):
            await socket.connection.send(f"nonsense {number}")
        assert (await socket.ask("ping"))["type"] == "error"
        await socket.of_type("pong")
        for number in range(50):
            await socket.connection.send(b"\x00" if number % 2 else "{}")
        assert await socket.close_code_within() == 4400


async def test_too_many_messages_close_the_socket(ann: Account, bob: Account) -> None:
    async with open_socket(ann) as socket, open_socket(bob) as other:
        with suppress(websockets.ConnectionClosed):
            for _ in range(2000):
                await socket.send("ping")
        assert await socket.close_code_within() == 4429
        assert (await other.ask("ping"))["type"] == "pong"


async def test_a_message_over_the_limit_closes_only_its_own_socket(ann: Account) -> None:
    async with open_socket(ann) as socket, open_socket(ann) as other:
        await socket.connection.send("x" * (64 * 1024 + 1))
        assert await socket.close_code_within() == 1009
        assert (await other.ask("ping"))["type"] == "pong"


async def test_one_user_has_a_limited_number_of_sockets(
    start_server: Callable[..., ServerProcess], tmp_path: object
) -> None:
    from support.accounts import register

    server = start_server(environment={"NETRA_SOCKETS_PER_USER": "3"})
    ann, bob = register(server.base_url), register(server.base_url)
    async with open_socket(ann), open_socket(ann), open_socket(ann) as last:
        extra = await connect(server.ws_url, additional_headers=ann.headers, proxy=None)
        await asyncio.wait_for(extra.wait_closed(), 5)
        assert extra.close_code == 4429
        async with open_socket(bob) as other:
            assert (await other.ask("ping"))["type"] == "pong"
        await last.close()
        async with open_socket(ann) as again:
            assert (await again.ask("ping"))["type"] == "pong"


async def test_a_socket_whose_peer_is_silent_is_closed_and_forgotten(
    start_server: Callable[..., ServerProcess],
) -> None:
    from support.accounts import register

    server = start_server(environment={"NETRA_HEARTBEAT_SECONDS": "0.5"})
    ann = register(server.base_url)
    socket = await connect(server.ws_url, additional_headers=ann.headers, proxy=None)
    await socket.recv()
    socket.transport.pause_reading()  # it answers no ping from now on
    await nobody_is_connected(ann, "socket")
    socket.transport.abort()


async def test_a_stopping_server_says_so_before_it_closes(start_server: Callable[..., ServerProcess]) -> None:
    from support.accounts import register

    server = start_server()
    ann = register(server.base_url)
    async with open_socket(ann) as socket:
        await asyncio.to_thread(server.stop)
        assert await socket.close_code_within() == 1012
        assert socket.frames[-1]["type"] == "draining"
        assert socket.frames[-1]["retry_after_ms"] > 0
    assert server.tracebacks == []


# The same log over server-sent events


async def test_a_stream_is_the_same_log_and_resumes_where_it_was_cut(ann: Account) -> None:
    created = await send(ann, "100 10 5")
    thread_id = created["thread_id"]
    path = f"/api/threads/{thread_id}/events"
    reader, ids = Reader(), []
    async with ann.async_client(headers={**ann.headers, "Accept": "text/event-stream"}) as client:
        while not reader.applied or reader.applied[-1]["type"] != "agent_completed":
            headers = {"Last-Event-ID": str(reader.last)} if reader.last else {}
            async with client.stream("GET", path, headers=headers) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                taken = 0
                async for item in read_stream(answer.aiter_lines()):
                    if item is None:
                        continue
                    assert item[0] == item[1]["seq"]
                    ids.append(item[0])
                    assert reader.take(item[1])
                    taken += 1
                    if taken == 7 or item[1]["type"] == "agent_completed":
                        break
        for bad in ("x", "-1", "1.5", "9" * 20):
            assert (await client.get(path, headers={"Last-Event-ID": bad})).status_code == 422
    assert ids == sorted(set(ids))
    async with open_socket(ann) as socket:
        await socket.send("subscribe", thread_id=thread_id)
        await socket.of_type("live")
        lasting = socket.events(str(thread_id))
    assert [e["seq"] for e in lasting] == [e["seq"] for e in reader.applied if e["type"] != "text_delta"]
    await nobody_is_connected(ann, "stream")


async def test_streams_end_with_their_login(ann: Account) -> None:
    created = await send(ann, "1 1")
    await seen_to_end(ann, created["thread_id"])
    async with ann.async_client() as client, ann.async_client() as other:
        headers = {"Accept": "text/event-stream"}
        async with client.stream("GET", f"/api/threads/{created['thread_id']}/events", headers=headers) as answer:
            items = read_stream(answer.aiter_lines())
            while await anext(items) is not None:
                pass
            await other.post("/api/auth/logout")
            async with asyncio.timeout(2):
                assert [item async for item in items] == []


async def test_metrics_name_no_user(chat: ServerProcess, ann: Account) -> None:
    text = httpx.get(f"{chat.base_url}/metrics", trust_env=False).text
    assert "netra_connections" in text
    assert not re.search(r"(usr|thr|run)_[0-9a-z]{26}|@example", text)

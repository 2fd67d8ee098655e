"""Threads, messages, runs, files and search over HTTP, on both databases."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator

import httpx
import pytest

from support.accounts import Account, register
from support.server import ServerProcess
from support.waiting import block_until

LIMITS = {
    "NETRA_ALLOW_REGISTRATION": "true",
    "NETRA_FILE_BYTES": "100000",
    "NETRA_ATTACHMENTS": "2",
    "NETRA_CONTENT_CHARS": "1000",
    "NETRA_RUNS_RUNNING": "1",
    "NETRA_RUNS_QUEUED": "2",
}
AGENTS = [f"support.chatty:{name}" for name in ("talk", "big", "hang", "verbose")]


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").create_database()
    with ServerProcess(tmp_path_factory.mktemp("http"), agents=AGENTS, database_url=url, environment=LIMITS) as process:
        yield process
        assert process.tracebacks == []


@pytest.fixture
def ann(server: ServerProcess) -> Account:
    return register(server.base_url)


@pytest.fixture
def client(ann: Account) -> Iterator[httpx.Client]:
    with ann.client() as client:
        yield client


def send(client: httpx.Client, content: str, *, thread: str | None = None, **members: object) -> httpx.Response:
    body = {"id": secrets.token_hex(6), "content": content, "agent": "talk", **members}
    return client.post(f"/api/threads/{thread}/messages" if thread else "/api/messages", json=body)


def ended(client: httpx.Client, sent: httpx.Response) -> str:
    """The state of a run that was begun, once it has ended."""
    path = f"/api/runs/{sent.json()['run_id']}"
    block_until(lambda: client.get(path).json()["ended_at"], "the end of the run")
    return str(client.get(path).json()["state"])


def upload(client: httpx.Client, name: str = "usage.csv", content: bytes = b"a,b\n1,2\n") -> httpx.Response:
    return client.post("/api/files", files={"file": (name, content)})


def test_a_message_without_a_thread_makes_one_named_after_it(client: httpx.Client) -> None:
    sent = send(client, "3 4 1 is where my spend goes")
    assert sent.status_code == 202
    assert ended(client, sent) == "succeeded"
    thread = client.get(f"/api/threads/{sent.json()['thread_id']}").json()
    assert (thread["title"], thread["agent"], thread["running"]) == ("3 4 1 is where my spend goes", "talk", False)
    page = client.get(f"/api/threads/{thread['id']}/events").json()
    assert page["last_seq"] == page["events"][-1]["seq"] == thread["last_seq"]
    assert page["events"][-1]["final_response"] == "said 3"


def test_pages_of_events_join_to_the_whole_log(client: httpx.Client) -> None:
    sent = send(client, "30 4 30")
    ended(client, sent)
    path = f"/api/threads/{sent.json()['thread_id']}/events"
    whole = client.get(path).json()["events"]
    joined, after = [], 0
    while page := client.get(path, params={"after": after, "limit": 7}).json()["events"]:
        joined += page
        after = page[-1]["seq"]
    assert joined == whole
    assert client.get(path, params={"after": 10**9}).json()["events"] == []


def test_threads_are_listed_newest_first_in_pages_without_gap_or_repetition(client: httpx.Client) -> None:
    made = [client.post("/api/threads", json={"title": f"t{n}"}).json()["id"] for n in range(7)]
    listed, cursor = [], None
    while True:
        page = client.get("/api/threads", params={"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        listed += [thread["id"] for thread in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert listed == made[::-1]
    ended(client, send(client, "1 1", thread=made[2]))
    assert client.get("/api/threads").json()["items"][0]["id"] == made[2]


def test_search_finds_titles_questions_and_answers_whatever_the_case(client: httpx.Client) -> None:
    titled = client.post("/api/threads", json={"title": "Quarterly 100%_report"}).json()["id"]
    asked = send(client, "1 1 about Zebras")
    answered = send(client, "what a Giraffe", agent="big")  # its answer ends in NUL, which PostgreSQL cannot search
    for sent in (asked, answered):
        ended(client, sent)

    def found(query: str) -> set[str]:
        return {thread["id"] for thread in client.get("/api/threads", params={"q": query}).json()["items"]}

    assert found("quarterly") == {titled}
    assert found("100%_") == {titled}
    assert found("1%r") == set()
    assert found("ZEBRA") == {asked.json()["thread_id"]}
    assert found("said 1") == {asked.json()["thread_id"]}
    assert found("giraffe") == {answered.json()["thread_id"]}
    assert found("canary-of-the-blob") == set()


def test_search_knows_the_case_of_every_letter_and_reads_large_answers(client: httpx.Client) -> None:
    titled = client.post("/api/threads", json={"title": "ÄRGER mit Ωmega"}).json()["id"]
    asked = send(client, "1 1 über Straßen")
    large = send(client, "5000 20", agent="verbose")
    for sent in (asked, large):
        assert ended(client, sent) == "succeeded"

    def found(query: str) -> set[str]:
        return {thread["id"] for thread in client.get("/api/threads", params={"q": query}).json()["items"]}

    assert found("ärger") == found("Ärger") == found("ωMEGA") == {titled}
    assert found("ÜBER STRAßEN") == {asked.json()["thread_id"]}
    assert found("4999:é") == found("4999:É") == {large.json()["thread_id"]}
    assert found("$blob") == found("blob_") == set()


def test_a_thread_is_renamed_and_deleted_with_everything_in_it(client: httpx.Client) -> None:
    stored = upload(client).json()["id"]
    sent = send(client, "x", agent="big", attachments=[stored])
    ended(client, sent)
    thread = sent.json()["thread_id"]
    events = client.get(f"/api/threads/{thread}/events").json()["events"]
    blob = next(e["results"]["$blob"] for e in events if e["type"] == "tool_completed")
    renamed = client.patch(f"/api/threads/{thread}", json={"title": "  New name "})
    assert renamed.json()["title"] == "New name"
    for title in ("", "   ", "\0", "x" * 201):
        assert client.patch(f"/api/threads/{thread}", json={"title": title}).status_code == 422
    assert len(client.get(f"/api/blobs/{blob}").json()) == 200
    assert client.delete(f"/api/threads/{thread}").status_code == 204
    for path in (f"threads/{thread}", f"threads/{thread}/events", f"blobs/{blob}", f"files/{stored}"):
        assert client.get(f"/api/{path}").status_code == 404, path
    assert client.get(f"/api/runs/{sent.json()['run_id']}").status_code == 404
    assert client.delete(f"/api/threads/{thread}").status_code == 404


def test_deleting_a_thread_stops_what_runs_in_it(client: httpx.Client, server: ServerProcess) -> None:
    hanging = send(client, "x", agent="hang")
    assert client.delete(f"/api/threads/{hanging.json()['thread_id']}").status_code == 204
    after = send(client, "1 1")  # one run of a user at a time: it can only end when the other is gone
    assert ended(client, after) == "succeeded"


def test_a_user_has_a_limited_number_of_waiting_messages_and_others_are_not_held_up(
    client: httpx.Client, server: ServerProcess
) -> None:
    first = send(client, "x", agent="hang")
    path = f"/api/runs/{first.json()['run_id']}"
    block_until(lambda: client.get(path).json()["state"] == "running", "the first run")
    waiting = [send(client, "1 1") for _ in range(2)]
    assert [sent.status_code for sent in waiting] == [202, 202]
    refused = send(client, "1 1")
    assert refused.status_code == 429
    assert refused.json()["code"] == "limit_reached"
    assert "retry-after" in refused.headers
    with register(server.base_url).client() as other:
        assert ended(other, send(other, "1 1")) == "succeeded"
    for sent in waiting:
        assert client.post(f"/api/runs/{sent.json()['run_id']}/cancel").status_code == 202
        assert ended(client, sent) == "cancelled"
    assert client.post(f"/api/runs/{first.json()['run_id']}/cancel").status_code == 202
    assert ended(client, first) == "cancelled"
    assert ended(client, send(client, "1 1")) == "succeeded"


def test_a_busy_thread_queues_or_rejects_as_it_was_told(client: httpx.Client) -> None:
    first = send(client, "x", agent="hang")
    thread = first.json()["thread_id"]
    queued = send(client, "1 1", thread=thread)
    assert queued.status_code == 202
    client.post(f"/api/runs/{queued.json()['run_id']}/cancel")
    assert client.patch(f"/api/threads/{thread}", json={"on_busy": "reject"}).json()["on_busy"] == "reject"
    rejected = send(client, "1 1", thread=thread)
    assert (rejected.status_code, rejected.json()["code"]) == (409, "conflict")
    client.post(f"/api/runs/{first.json()['run_id']}/cancel")
    ended(client, first)
    ended(client, queued)
    assert ended(client, send(client, "1 1", thread=thread)) == "succeeded"


def test_a_file_comes_back_as_it_was_as_an_attachment(client: httpx.Client) -> None:
    content = bytes(range(256)) * 300
    stored = upload(client, "../über; usage.html", content)
    assert stored.status_code == 201
    assert stored.json()["name"] == "über; usage.html"
    assert stored.json()["size"] == len(content)
    answer = client.get(f"/api/files/{stored.json()['id']}")
    assert answer.content == content
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("a.csv", b"x" * 100_000, 201),
        ("a.csv", b"x" * 100_001, 413),
        ("a.csv", b"x" * 900_000, 413),
        ("a.csv", b"", 422),
        ("...", b"x", 422),
    ],
)
def test_files_have_a_size_and_a_name(client: httpx.Client, name: str, content: bytes, status: int) -> None:
    answer = upload(client, name, content)
    assert answer.status_code == status, answer.text


def test_refused_uploads_leave_nothing_behind(client: httpx.Client, server: ServerProcess) -> None:
    before = set((server.data_dir / "files").iterdir())
    upload(client, "a.csv", b"x" * 200_000)
    upload(client, "a.csv", b"")
    client.post("/api/files", content=b"--b\r\nnothing", headers={"Content-Type": "multipart/form-data; boundary=b"})
    client.post("/api/files", json={"file": "x"})
    assert set((server.data_dir / "files").iterdir()) == before


def test_attachments_belong_to_one_message_thread_and_are_counted(client: httpx.Client) -> None:
    files = [upload(client, f"{n}.csv").json()["id"] for n in range(3)]
    assert send(client, "1 1", attachments=files).status_code == 422
    sent = send(client, "1 1", attachments=[*files[:2], files[0]])
    assert sent.status_code == 202
    thread = sent.json()["thread_id"]
    first = client.get(f"/api/threads/{thread}/events").json()["events"][0]
    assert [attachment["id"] for attachment in first["attachments"]] == files[:2]
    assert send(client, "1 1", attachments=[files[0]]).status_code == 422  # bound to the other thread
    ended(client, sent)
    assert send(client, "1 1", thread=thread, attachments=[files[0]]).status_code == 202


def test_files_are_listed_newest_first_in_pages_and_say_where_they_are_attached(client: httpx.Client) -> None:
    stored = [upload(client, f"{n}.csv").json() for n in range(5)]
    assert stored[0]["thread_id"] is None
    sent = send(client, "1 1", attachments=[stored[1]["id"]]).json()
    stored[1]["thread_id"] = sent["thread_id"]
    listed, cursor = [], None
    while True:
        page = client.get("/api/files", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        assert len(page["items"]) <= 2
        listed += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert listed == stored[::-1]
    assert client.get("/api/files", params={"cursor": "\0"}).status_code == 422


def test_a_file_can_be_deleted_until_a_message_takes_it(client: httpx.Client, server: ServerProcess) -> None:
    loose, taken = upload(client).json()["id"], upload(client).json()["id"]
    assert send(client, "1 1", attachments=[taken]).status_code == 202
    assert client.delete(f"/api/files/{loose}").status_code == 204
    assert client.delete(f"/api/files/{loose}").status_code == 404
    assert client.get(f"/api/files/{loose}").status_code == 404
    assert not (server.data_dir / "files" / loose).exists()
    refused = client.delete(f"/api/files/{taken}")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert client.get(f"/api/files/{taken}").status_code == 200
    assert [item["id"] for item in client.get("/api/files").json()["items"]] == [taken]


def test_a_message_has_words_or_files_and_is_not_too_long(client: httpx.Client) -> None:
    assert send(client, "").status_code == 422
    assert send(client, "x" * 1001).status_code == 422
    assert send(client, "1 1 " + "x" * 996).status_code == 202
    assert send(client, "1 1", agent="nobody").json()["field"] == "agent"


async def test_concurrent_sends_of_one_key_make_one_run(ann: Account) -> None:
    body = {"id": "same", "content": "1 1", "agent": "talk"}
    async with ann.async_client() as client:
        answers = await asyncio.gather(*(client.post("/api/messages", json=body) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.text for answer in answers}) == 1
        assert len((await client.get("/api/threads")).json()["items"]) == 1

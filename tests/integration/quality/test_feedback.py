"""Thumbs and words on an answer: kept, replaced, taken back, and nobody else's business."""

from __future__ import annotations

import pytest

from netra.ids import new_id
from support.accounts import Account

from .conftest import run_to_end

pytestmark = pytest.mark.spec("quality.feedback")


def test_feedback_is_kept_as_given_and_comes_with_its_thread(ann: Account) -> None:
    with ann.client() as client:
        first = run_to_end(client, "echo", "one answer")
        second = run_to_end(client, "echo", "another", first["thread_id"])
        words = "Just what I needed — merci 🙏\nand a second line"
        given = client.put(f"/api/runs/{first['run_id']}/feedback", json={"rating": 1, "text": words})
        assert given.status_code == 200
        assert (given.json()["rating"], given.json()["text"]) == (1, words)
        assert client.get(f"/api/runs/{first['run_id']}/feedback").json() == given.json()
        other = client.put(f"/api/runs/{second['run_id']}/feedback", json={"rating": -1})
        assert other.json()["text"] == ""
        listed = client.get(f"/api/threads/{first['thread_id']}/feedback").json()
        assert listed == {"items": [other.json(), given.json()]}


def test_a_second_opinion_replaces_the_first_and_can_be_taken_back(ann: Account) -> None:
    with ann.client() as client:
        run = run_to_end(client, "echo", "an answer")
        path = f"/api/runs/{run['run_id']}/feedback"
        assert client.get(path).status_code == 404
        first = client.put(path, json={"rating": 1, "text": "good"}).json()
        second = client.put(path, json={"rating": -1}).json()
        assert (second["rating"], second["text"], second["created_at"]) == (-1, "", first["created_at"])
        assert client.delete(path).status_code == 204
        assert client.get(path).status_code == 404
        assert client.get(f"/api/threads/{run['thread_id']}/feedback").json() == {"items": []}
        assert client.delete(path).status_code == 204


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"rating": 0}, "rating"),
        ({"rating": 5}, "rating"),
        ({"rating": True}, "rating"),
        ({}, "rating"),
        ({"rating": 1, "text": "x" * 4001}, "text"),
        ({"rating": 1, "text": "a\0b"}, "text"),
        ({"rating": 1, "stars": 5}, "stars"),
    ],
)
def test_feedback_that_cannot_be_kept_is_refused_with_its_field(
    ann: Account, body: dict[str, object], field: str
) -> None:
    with ann.client() as client:
        refused = client.put(f"/api/runs/{new_id('run')}/feedback", json=body)
        assert (refused.status_code, refused.json()["field"]) == (422, field)


def test_the_longest_text_is_kept_whole(ann: Account) -> None:
    with ann.client() as client:
        run = run_to_end(client, "echo", "an answer")
        given = client.put(f"/api/runs/{run['run_id']}/feedback", json={"rating": 1, "text": "é" * 4000})
        assert given.json()["text"] == "é" * 4000


def test_a_run_that_goes_on_cannot_be_judged_yet(ann: Account) -> None:
    with ann.client() as client:
        body = {"id": "endless", "content": "go", "agent": "endless"}
        run = client.post("/api/messages", json=body).json()
        early = client.put(f"/api/runs/{run['run_id']}/feedback", json={"rating": 1})
        assert early.status_code == 409
        client.post(f"/api/runs/{run['run_id']}/cancel")


def test_nobody_judges_or_reads_what_is_anothers(ann: Account, bob: Account, admin: Account) -> None:
    with ann.client() as hers, bob.client() as his, admin.client() as theirs:
        run = run_to_end(hers, "echo", "an answer")
        path, nothing = f"/api/runs/{run['run_id']}/feedback", f"/api/runs/{new_id('run')}/feedback"
        hers.put(path, json={"rating": 1, "text": "only for me"})
        for client in (his, theirs):
            for method, body in (("PUT", {"rating": -1}), ("GET", None), ("DELETE", None)):
                refused, missing = (client.request(method, each, json=body) for each in (path, nothing))
                assert refused.status_code == 404
                assert refused.json()["detail"] == missing.json()["detail"]
            assert client.get(f"/api/threads/{run['thread_id']}/feedback").status_code == 404
        assert hers.get(path).json()["text"] == "only for me"


def test_feedback_goes_with_its_thread(ann: Account) -> None:
    with ann.client() as client:
        run = run_to_end(client, "echo", "an answer")
        client.put(f"/api/runs/{run['run_id']}/feedback", json={"rating": 1})
        assert client.delete(f"/api/threads/{run['thread_id']}").status_code == 204
        assert client.get(f"/api/runs/{run['run_id']}/feedback").status_code == 404

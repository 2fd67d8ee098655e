"""A judge of recorded histories, which knows the protocol's promises and nothing of the server.

Clients record what they sent, what was acknowledged, and every event they were given, in the order in which it
happened to them; at the end, the log itself is recorded as whoever owns it reads it. `check` returns every broken
promise it finds:

* **lost**: an acknowledged message is not in the log, or a reader that came to rest has not been given what is in it.
* **gap**: an event was applied though its `prev` says that something before it was missing, or an event that still is
  in the log was skipped.
* **repeated**: a reader applied the same seq twice. **order**: it applied an older one after a newer one.
* **phantom**: an event that nobody's log has and no compaction explains, or a message that was refused or never sent.
* **changed**: one seq of one thread with two contents.
* **leak**: an event reached somebody who does not own its thread.
* **end**: a run with a start and no end, two ends, or anything of it after its end; or an attempt older than one seen.
* **resume**: a reader asked again from another place than it had reached.
* **double**: one idempotency key with two places.

The idea is that of Jepsen's checkers; a totally ordered log for each thread makes the check linear.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """A message and what became of it. `seq` None: the answer never came, so it may or may not be stored.

    Args:
        refused: the server said that it was not stored.
    """

    user: str
    key: str
    content: str
    thread: str | None = None
    seq: int | None = None
    run: str | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A reader asked for a thread's events after a seq. A reader is one logical client, however often it reconnects."""

    reader: str
    user: str
    thread: str
    after: int


@dataclass(frozen=True, slots=True)
class Got:
    """A reader was given an event."""

    reader: str
    event: Event


@dataclass(frozen=True, slots=True)
class Rested:
    """A reader was told that it had everything, after all had ended."""

    reader: str


@dataclass(frozen=True, slots=True)
class Log:
    """A thread's log as its owner reads it when all has ended."""

    user: str
    thread: str
    events: tuple[Event, ...]


Entry = Sent | Asked | Got | Rested | Log


@dataclass(slots=True)
class _Reader:
    user: str
    thread: str
    last: int
    applied: set[int] = field(default_factory=set)
    starts: list[int] = field(default_factory=list)


class _Judge:
    def __init__(self, history: list[Entry]) -> None:
        self.history = history
        self.faults: list[str] = []
        self.logs = {entry.thread: entry for entry in history if isinstance(entry, Log)}
        self.contents: dict[tuple[str, int], tuple[str, str]] = {}
        self.readers: dict[str, _Reader] = {}

    def fault(self, kind: str, text: str) -> None:
        self.faults.append(f"{kind}: {text}")

    def same(self, event: Event, where: str) -> None:
        """One place, one content, whoever reads it."""
        content = repr(sorted((key, value) for key, value in event.items() if key != "prev"))
        known = self.contents.setdefault((event["thread_id"], event["seq"]), (content, where))
        if known[0] != content:
            self.fault("changed", f"{event['thread_id']}#{event['seq']} differs between {known[1]} and {where}")

    def judge(self) -> list[str]:
        for log in self.logs.values():
            self.log(log)
        self.messages([entry for entry in self.history if isinstance(entry, Sent)])
        for entry in self.history:
            if isinstance(entry, Asked):
                self.asked(entry)
            elif isinstance(entry, Got):
                self.got(entry)
            elif isinstance(entry, Rested):
                self.rested(entry)
        return self.faults

    def log(self, log: Log) -> None:
        last = 0
        started: Counter[str] = Counter()
        ended: Counter[str] = Counter()
        for event in log.events:
            place = f"{log.thread}#{event['seq']}"
            if event["thread_id"] != log.thread or event["user_id"] != log.user:
                self.fault("leak", f"{place} belongs to {event['user_id']}, {event['thread_id']}")
            if event["seq"] <= last:
                self.fault("order", f"{place} stands after #{last} in the log")
            if event["prev"] != last:
                self.fault("gap", f"{place} in the log says prev {event['prev']} and follows #{last}")
            last = event["seq"]
            self.same(event, "the log")
            run = event["run_id"]
            if event["type"] == "user_message" or run is None:
                continue
            if ended[run]:
                self.fault("end", f"{place} {event['type']} of {run} comes after its end")
            started[run] += event["type"] == "agent_started"
            ended[run] += event["type"] == "agent_completed"
            if event["type"] == "text_delta":
                self.fault("end", f"{place} is streamed text of {run} that its end has not removed")
        for run in started | ended:
            if ended[run] != 1:
                self.fault("end", f"{run} ended {ended[run]} times")
            if started[run] > 1:
                self.fault("end", f"{run} started {started[run]} times")

    def messages(self, sent: list[Sent]) -> None:
        places: dict[tuple[str, str], tuple[str, int]] = {}
        contents: dict[str, Counter[str]] = defaultdict(Counter)
        for log in self.logs.values():
            for event in log.events:
                if event["type"] == "user_message":
                    contents[log.user][event["content"]] += 1
                    if not any(s.user == log.user and s.content == event["content"] for s in sent):
                        self.fault("phantom", f"{log.thread}#{event['seq']} was sent by nobody")
        for message in sent:
            if message.refused and not any(s.key == message.key and s.seq is not None for s in sent):
                if contents[message.user][message.content]:
                    self.fault("phantom", f"{message.key} was refused and is in the log")
                continue
            if contents[message.user][message.content] > 1:
                self.fault("double", f"{message.key} is in the log {contents[message.user][message.content]} times")
            if message.seq is None or message.thread is None:
                continue
            place = (message.thread, message.seq)
            if places.setdefault((message.user, message.key), place) != place:
                self.fault("double", f"{message.key} was given two places")
            log = self.logs.get(message.thread)
            stored = {e["seq"]: e for e in log.events} if log is not None else {}
            event = stored.get(message.seq)
            if event is None or event.get("content") != message.content:
                self.fault("lost", f"{message.key} was acknowledged as {message.thread}#{message.seq}")
            elif log is not None and not any(
                e["type"] == "agent_completed" and e["run_id"] == message.run for e in log.events
            ):
                self.fault("end", f"{message.run}, which answers {message.key}, has no end")

    def asked(self, entry: Asked) -> None:
        reader = self.readers.get(entry.reader)
        if reader is None:
            reader = self.readers[entry.reader] = _Reader(entry.user, entry.thread, entry.after)
        elif entry.after != reader.last:
            self.fault("resume", f"{entry.reader} had reached #{reader.last} and asked from #{entry.after}")
        reader.starts.append(entry.after)

    def got(self, entry: Got) -> None:
        reader, event = self.readers[entry.reader], entry.event
        place = f"{entry.reader}: {event['thread_id']}#{event['seq']}"
        log = self.logs.get(event["thread_id"])
        owner = log.user if log is not None else event["user_id"]
        if event["user_id"] != reader.user or owner != reader.user:
            self.fault("leak", f"{place} of {owner} came to {reader.user}")
        if event["thread_id"] != reader.thread:
            self.fault("leak", f"{place} came to a reader of {reader.thread}")
            return
        self.same(event, entry.reader)
        seq, prev = event["seq"], event["prev"]
        if seq in reader.applied:
            self.fault("repeated", place)
            return
        if seq <= reader.last:
            self.fault("order", f"{place} came after #{reader.last}")
            return
        if prev > reader.last:
            self.fault("gap", f"{place} says prev {prev}, and the reader had #{reader.last}")
        if log is not None:
            lasting = [e["seq"] for e in log.events if reader.last < e["seq"] < seq]
            if lasting:
                self.fault("gap", f"{place} came while #{lasting[0]} is still missing")
            known = {e["seq"] for e in log.events}
            if seq not in known:
                self.compacted(event, log, place)
        reader.applied.add(seq)
        reader.last = seq

    def compacted(self, event: Event, log: Log, place: str) -> None:
        """Only streamed text may be gone from the log, and only when its run has ended behind it."""
        ended = [e["seq"] for e in log.events if e["type"] == "agent_completed" and e["run_id"] == event["run_id"]]
        if event["type"] != "text_delta" or not ended or ended[0] < event["seq"]:
            self.fault("phantom", f"{place} {event['type']} is not in the log")

    def rested(self, entry: Rested) -> None:
        reader = self.readers[entry.reader]
        log = self.logs.get(reader.thread)
        if log is not None and log.events and reader.last != log.events[-1]["seq"]:
            self.fault("lost", f"{entry.reader} rests at #{reader.last}, the log is at #{log.events[-1]['seq']}")


def check(history: Iterable[Entry]) -> list[str]:
    """Every broken promise in a history; empty when there is none."""
    return _Judge(list(history)).judge()

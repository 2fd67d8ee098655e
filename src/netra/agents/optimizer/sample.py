"""A month of made-up usage of a small company: eight applications, several models, people at work by day and jobs at
night, conversations that repeat a long context, retries, outliers, small requests on a large model. For people who have
no usage file at hand: `netra demo-data` and the page's sample button call `write_sample`.

The same arguments give the same bytes. Nothing in it is taken from anybody's data.
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from netra.agents.optimizer.database import literal

__all__ = ["COLUMNS", "sample_rows", "write_sample"]

COLUMNS = (
    "timestamp",
    "request_id",
    "model",
    "user",
    "api_key_name",
    "session_id",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "service_tier",
    "status",
)
_START = datetime(2026, 10, 1, tzinfo=UTC)
_DAYS = 30
Row = tuple[datetime, str, str, str, str, str, int, int, int, str, str]


@dataclass(frozen=True, slots=True)
class _App:
    """An application: its share of all requests, its model, its users, when it works, and how it asks.

    `talk` gives the turns of one session as (input, cached, output).
    """

    key: str
    weight: int
    model: str
    users: tuple[str, ...]
    hours: tuple[int, ...]
    weekdays_only: bool
    talk: Callable[[Random], list[tuple[int, int, int]]]


def _around(random: Random, middle: int, spread: float = 0.5) -> int:
    """A whole number near `middle`, skewed to the right as token counts are."""
    return max(1, round(middle * random.lognormvariate(0, spread)))


def _conversation(
    system: int, turns: int, question: int, answer: int, cached_share: float
) -> Callable[[Random], list[tuple[int, int, int]]]:
    def talk(random: Random) -> list[tuple[int, int, int]]:
        context, said = system + _around(random, system // 8), list[tuple[int, int, int]]()
        for turn in range(random.randint(1, turns)):
            context += _around(random, question)
            cached = context // 128 * 128 - 256 if turn and random.random() < cached_share else 0
            reply = _around(random, answer)
            said.append((context, max(0, cached), reply))
            context += reply
        return said

    return talk


def _single(tokens_in: int, tokens_out: int, *, runaway: float = 0.0) -> Callable[[Random], list[tuple[int, int, int]]]:
    def talk(random: Random) -> list[tuple[int, int, int]]:
        factor = 25 if random.random() < runaway else 1
        answer = _around(random, tokens_out, 0.4) if tokens_out else 0
        if tokens_out and random.random() < runaway:
            answer *= 12
        return [(_around(random, tokens_in, 0.4) * factor, 0, answer)]

    return talk


_PEOPLE = ("ada", "bruno", "chen", "dalia", "emeka", "freya", "goran", "hana", "ines", "jonas", "kavya", "liam")
_DAY = (7, 8, 8, 9, 9, 9, 10, 10, 10, 11, 11, 12, 13, 13, 14, 14, 14, 15, 15, 16, 16, 17, 18)
_NIGHT = (1, 1, 2, 2, 3, 3, 4)
_ALWAYS = tuple(range(24)) + _DAY

_APPS = (
    _App("support-chat", 30, "gpt-4o", _PEOPLE, _DAY, True, _conversation(2_400, 8, 90, 220, 0.55)),
    _App("ticket-tagger", 24, "gpt-4o", ("helpdesk",), _DAY, True, _single(420, 14)),
    _App("handbook-assistant", 8, "claude-sonnet-4-5", _PEOPLE[:8], _DAY, True, _conversation(14_000, 6, 120, 350, 0)),
    _App("code-review", 10, "gpt-4.1", _PEOPLE[2:9], _DAY, True, _single(6_500, 620, runaway=0.012)),
    _App("nightly-reports", 9, "gpt-4o", ("scheduler",), _NIGHT, False, _single(5_800, 850)),
    _App("mobile-app", 12, "gemini-2.5-flash", _PEOPLE, _ALWAYS, False, _single(900, 160, runaway=0.002)),
    _App("search-index", 6, "text-embedding-3-small", ("scheduler",), _ALWAYS, False, _single(640, 0)),
    _App("lab", 1, "house-llm-7b", ("kavya", "liam"), _DAY, True, _single(1_500, 300)),
)  # fmt: skip


def _moment(random: Random, app: _App) -> datetime:
    while True:
        day = _START + timedelta(days=random.randrange(_DAYS))
        if not (app.weekdays_only and day.weekday() >= 5):
            break
    return day + timedelta(
        hours=random.choice(app.hours), seconds=random.randrange(3_600), milliseconds=random.randrange(1_000)
    )


def _session(random: Random, app: _App, number: int) -> Iterator[Row]:
    at = _moment(random, app)
    user = random.choice(app.users)
    turns = app.talk(random)
    session = f"s{number:07d}" if len(turns) > 1 else ""
    for turn, (tokens_in, cached, tokens_out) in enumerate(turns):
        identity = f"req_{number:07d}_{turn}"
        tier = "batch" if app.key == "search-index" and random.random() < 0.3 else "default"
        if random.random() < 0.015:  # the provider failed after reading the prompt; the client tried again
            yield (at, f"{identity}_a", app.model, user, app.key, session, tokens_in, cached, 0, tier, "error")
            at += timedelta(seconds=random.uniform(4, 40))
        yield (at, identity, app.model, user, app.key, session, tokens_in, cached, tokens_out, tier, "success")
        at += timedelta(seconds=random.uniform(20, 150))


def sample_rows(rows: int = 20_000, seed: int = 7) -> list[Row]:
    """`rows` requests in the order of their times; see `COLUMNS`."""
    random = Random(seed)
    weights = [app.weight for app in _APPS]
    made: list[Row] = []
    number = 0
    while len(made) < rows:
        number += 1
        made.extend(_session(random, random.choices(_APPS, weights)[0], number))
    del made[rows:]
    made.sort(key=lambda row: (row[0], row[1]))
    return made


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def write_sample(path: Path, rows: int = 20_000, seed: int = 7) -> int:
    """Writes the sample.

    Args:
        path: ends with `.jsonl` for JSON lines or `.parquet` for Parquet, otherwise CSV is written.
        rows: how many requests.
        seed: another seed gives another month of the same company.

    Returns:
        the number of rows written.
    """
    if path.suffix.lower() == ".parquet":
        return _write_parquet(path, rows, seed)
    made = sample_rows(rows, seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix.lower() in (".jsonl", ".ndjson"):
            for row in made:
                file.write(json.dumps(dict(zip(COLUMNS, (_stamp(row[0]), *row[1:]), strict=True))) + "\n")
        else:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows((_stamp(row[0]), *row[1:]) for row in made)
    return len(made)


def _write_parquet(path: Path, rows: int, seed: int) -> int:
    import duckdb

    with tempfile.TemporaryDirectory(prefix="netra-sample-") as scratch, duckdb.connect(":memory:") as connection:
        table = Path(scratch) / "sample.csv"
        written = write_sample(table, rows, seed)
        connection.execute(
            f"COPY (SELECT * FROM read_csv({literal(str(table))}, header = true, nullstr = '')) "
            f"TO {literal(str(path))} (FORMAT parquet)"
        )
    return written

"""Savings on the sample file, computed again row by row in plain Python from the rules as the report states them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from netra.agents.optimizer.sample import COLUMNS, sample_rows, write_sample

from .analysis import analyse

PRICES = {  # USD for a million tokens: input, cached, cache write, output; as published by the makers
    "gpt-4o": ("2.5", "1.25", "2.5", "10"),
    "gpt-4o-mini": ("0.15", "0.075", "0.15", "0.6"),
    "gpt-4o batch": ("1.25", "1.25", "1.25", "5"),
    "gpt-4o-mini batch": ("0.075", "0.075", "0.075", "0.3"),
    "gpt-4.1": ("2", "0.5", "2", "8"),
    "claude-sonnet-4-5": ("3", "0.3", "3.75", "15"),
    "claude-haiku-4-5": ("1", "0.1", "1.25", "5"),
    "gemini-2.5-flash": ("0.3", "0.03", "0.3", "2.5"),
    "gemini-2.5-flash-lite": ("0.1", "0.01", "0.1", "0.4"),
    "text-embedding-3-small": ("0.02", "0.02", "0.02", "0"),
}
SMALLER = {
    "gpt-4o": "gpt-4o-mini",
    "claude-sonnet-4-5": "claude-haiku-4-5",
    "gpt-4.1": "gpt-4.1-mini",
    "gemini-2.5-flash": "gemini-2.5-flash-lite",
}


def cost(model: str, fresh: int, cached: int, written: int, output: int) -> Decimal:
    rates = [Decimal(rate) for rate in PRICES[model]]
    return (fresh * rates[0] + cached * rates[1] + written * rates[2] + output * rates[3]) / 10**6


def nearest_rank(values: list[int], share: int) -> int:
    values = sorted(values)
    return values[-(-len(values) * share // 100) - 1]


class Request:
    def __init__(self, values: tuple[Any, ...]) -> None:
        row = dict(zip(COLUMNS, values, strict=True))
        self.time, self.model, self.user = row["timestamp"], row["model"], row["user"]
        self.key, self.session = row["api_key_name"], row["session_id"]
        self.input, self.cached, self.output = row["input_tokens"], row["cached_tokens"], row["output_tokens"]
        self.failed, self.batch = row["status"] == "error", row["service_tier"] == "batch"
        self.hit = self.new = 0
        self.gain = Decimal(0)
        self.retry = self.to_batch = False

    @property
    def cost(self) -> Decimal:
        return cost(self.model, self.input - self.cached, self.cached, 0, self.output)


def groups(requests: list[Request], *names: str) -> Iterator[list[Request]]:
    found: dict[tuple[Any, ...], list[Request]] = defaultdict(list)
    for request in requests:
        found[tuple(getattr(request, name) for name in names)].append(request)
    yield from found.values()


def mark_retries(requests: list[Request]) -> None:
    gives_output = {request.model for request in requests if request.output}
    for group in groups(requests, "model", "input", "session", "key", "user"):
        for one, following in pairwise(group):
            lost = one.failed or (one.output == 0 and one.model in gives_output)
            one.retry = lost and following.time - one.time <= timedelta(seconds=120)


def mark_cache(requests: list[Request]) -> None:
    turns = [*groups([r for r in requests if r.session], "model", "batch", "session", "key", "user")]
    turns += [*groups([r for r in requests if not r.session], "model", "batch", "key", "user", "input")]
    five = timedelta(minutes=5)
    for turn in turns:
        for place, request in enumerate(turn):
            rates = [Decimal(rate) for rate in PRICES[request.model]]
            before = turn[place - 1] if place else None
            after = turn[place + 1] if place + 1 < len(turn) else None
            shared = min(before.input, request.input) if before and request.time - before.time <= five else 0
            fresh = request.input - request.cached
            hit = min(max(shared - request.cached, 0), fresh) if shared >= 1024 else 0
            lives = after is not None and after.time - request.time <= five and min(after.input, request.input) >= 1024
            new = fresh - hit if lives and rates[2] > rates[0] else 0
            if (hit or new) and rates[1] < rates[0]:
                request.hit, request.new = hit, new
                request.gain = hit * (rates[0] - rates[1]) - new * (rates[2] - rates[0])
    gains: dict[str, Decimal] = defaultdict(Decimal)
    for request in requests:
        gains[request.session or request.key] += request.gain
    for request in requests:
        if gains[request.session or request.key] <= 0:
            request.hit = request.new = 0


def mark_batch(requests: list[Request]) -> set[int]:
    at_work: dict[int, set[Any]] = {hour: set() for hour in range(24)}
    for request in requests:
        at_work[request.time.hour].add((request.time.date(), request.key, request.user))
    mean = sum(map(len, at_work.values())) / 24
    quiet = {hour for hour, senders in at_work.items() if len(senders) <= 0.5 * mean}
    for group in groups(requests, "key"):
        inside = sum(request.time.hour in quiet for request in group)
        if len(group) >= 20 and inside >= 0.5 * len(group):
            for request in group:
                request.to_batch = (
                    request.time.hour in quiet and not request.batch and f"{request.model} batch" in PRICES
                )
    return quiet


@pytest.mark.parametrize("seed", [7, 8])
def test_each_share_of_the_combined_saving_is_what_plain_python_gives(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "usage.csv"
    write_sample(path, rows=6_000, seed=seed)
    _, priced, found = analyse(path)
    requests = [Request(row) for row in sample_rows(6_000, seed) if row[2] in PRICES]
    requests.sort(key=lambda request: request.time)
    assert Decimal(priced["total_usd"]) == sum(request.cost for request in requests)

    mark_retries(requests)
    mark_cache(requests)
    mark_batch(requests)
    limits = {}
    for group in groups(requests, "model"):
        if len(group) >= 100:
            limits[group[0].model] = (
                3 * nearest_rank([request.input for request in group], 95),
                2 * nearest_rank([request.output for request in group], 95),
            )
    shares: dict[str, Decimal] = defaultdict(Decimal)
    for request in requests:
        most_in, most_out = limits.get(request.model, (10**12, 10**12))
        fresh, output = request.input - request.cached, request.output
        if request.input > most_in:
            fresh = max(0, fresh - (request.input - most_in))
        if most_out and output > most_out:
            output = most_out
        small = request.input <= 1000 and request.output <= 300
        model = SMALLER.get(request.model, request.model) if small else request.model
        hit = 0 if request.to_batch else min(request.hit, fresh)
        new = 0 if request.to_batch else min(request.new, fresh - hit)
        final = f"{model} batch" if request.to_batch else model
        costs = [
            request.cost,
            request.cost,
            cost(request.model, fresh, request.cached, 0, request.output),
            cost(request.model, fresh, request.cached, 0, output),
            cost(model, fresh, request.cached, 0, output),
            cost(model, fresh - hit - new, request.cached + hit, new, output),
            cost(final, fresh - hit - new, request.cached + hit, new, output),
        ]
        if request.retry:
            costs[1:] = [Decimal(0)] * 6
        kinds = ("retries", "outliers", "output_caps", "smaller_model", "caching", "batch")
        for kind, before, after in zip(kinds, costs, costs[1:], strict=False):
            shares[kind] += before - after
    assert all(finding["counted"] for finding in found["findings"])
    for finding in found["findings"]:
        assert Decimal(finding["share_usd"]) == shares[finding["kind"]], finding["kind"]
    assert Decimal(found["combined_usd"]) == sum(shares.values())
    assert Decimal(found["after_usd"]) == Decimal(found["spend_usd"]) - Decimal(found["combined_usd"])


def test_no_finding_saves_more_together_than_the_whole_spend(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    write_sample(path, rows=3_000)
    _, _, found = analyse(path)
    assert Decimal(0) < Decimal(found["combined_usd"]) < Decimal(found["spend_usd"])


def test_every_breakdown_covers_the_same_money(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    write_sample(path, rows=3_000)
    _, priced, _ = analyse(path)
    assert set(priced["tables"]) == {"model", "user", "key", "hour", "size"}
    for name, table in priced["tables"].items():
        assert sum(Decimal(group["usd"]) for group in table) == Decimal(priced["total_usd"]), name
    over_time = [Decimal(value) for series in priced["over_time"]["series"] for value in series["usd"]]
    assert sum(over_time) == Decimal(priced["total_usd"])


def test_the_unknown_model_is_listed_and_outside_the_total(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    write_sample(path, rows=3_000)
    _, priced, _ = analyse(path)
    assert [entry["model"] for entry in priced["unpriced"]] == ["house-llm-7b"]
    assert priced["rows"] + priced["rows_unpriced"] == 3_000


def test_the_sample_is_the_same_each_time_and_in_each_format(tmp_path: Path) -> None:
    first, second, lines, columns = (tmp_path / name for name in ("a.csv", "b.csv", "c.jsonl", "d.parquet"))
    assert write_sample(columns, rows=500) == 500
    assert write_sample(first, rows=500) == write_sample(second, rows=500) == write_sample(lines, rows=500) == 500
    assert first.read_bytes() == second.read_bytes()
    totals = [analyse(path)[2]["combined_usd"] for path in (first, lines, columns)]
    assert totals[0] == totals[1] == totals[2]

"""One analysis: the files of a message, loaded once, and the four tools that look at them. Made by `agent` for each run
and by `assistant` for free questions; used from worker threads, one call at a time.

The tools are plain synchronous functions with JSON results, so that the engine can record them as steps. If a step's
result was recorded before a crash and a later one runs anew, the files are simply loaded again.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from netra.agents.optimizer import pricing, profile, query, savings
from netra.agents.optimizer.database import guarded, open_database
from netra.agents.optimizer.formats import FORMATS
from netra.agents.optimizer.ingest import Loaded, load, sample_values, scratch_path
from netra.agents.optimizer.mapping import find_mapping
from netra.agents.optimizer.money import exact_usd, units_of
from netra.agents.optimizer.normalise import create_usage_table, normalise
from netra.agents.optimizer.records import (
    CancelFlag,
    Limits,
    Mapping,
    MappingQuestion,
    Role,
    SourceFile,
    UsageFileError,
)

if TYPE_CHECKING:
    import duckdb

__all__ = ["SUGGESTED_MODELS", "Plan", "Workspace"]

T = TypeVar("T")

SUGGESTED_MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-6-sol", "claude-sonnet-5-5", "claude-haiku-5-5", "gemini-3.8-flash")
"""Offered when a file does not say which model was used; those that the price list does not know are left out."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the person decided about the files, across the messages of a thread.

    Attributes:
        said: role to column name.
        price_as: what rows without a model are priced as.
        skip_bad: leave lines that cannot be read out.
        as_of: the day whose prices hold.
    """

    said: MappingType[Role, str] = field(default_factory=dict)
    price_as: str | None = None
    skip_bad: bool = False
    as_of: date = date(2000, 1, 1)


class Workspace:
    """The files of one question.

    Args:
        files: what to analyse, together.
        plan: what the person said.
        cancelled: looked at during long work.
        limits: of memory, time and size.
    """

    def __init__(
        self, files: Sequence[SourceFile], plan: Plan, cancelled: CancelFlag | None = None, limits: Limits | None = None
    ) -> None:
        self.files = tuple(files)
        self.plan = plan
        self._cancelled: CancelFlag = cancelled or threading.Event()
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._loaded: list[Loaded] = []
        self._mappings: list[Mapping] = []
        self._files_about: list[Any] = []
        self._prices: pricing.PriceTable | None = None
        self._scratch: Path | None = None

    def close(self) -> None:
        """Frees memory and temporary files; safe to call twice."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            if self._scratch is not None:
                shutil.rmtree(self._scratch, ignore_errors=True)
                self._scratch = None

    def columns(self) -> tuple[str, ...]:
        """All column names of the files, for understanding a correction; empty when they cannot be read."""
        with self._lock:
            with contextlib.suppress(UsageFileError):
                self._load()
            return tuple(dict.fromkeys(column for loaded in self._loaded for column in loaded.table.columns))

    def profile_usage(self) -> dict[str, Any]:
        """Recognise the files, map their columns, check every value, and count rows and tokens.

        Returns:
            `{"files": […], "totals": {…}, "percentiles": {…}}`, or `{"problem": {…}}` or `{"question": {…}}` when a
            file cannot be read or a column not be found.
        """

        def work(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
            totals = profile.totals(connection)
            result: dict[str, Any] = {
                "files": self._files_about,
                "totals": totals,
                "percentiles": profile.percentiles(connection),
            }
            if totals["rows_without_model"] and not self.plan.price_as:
                result["suggested_models"] = self._suggest(connection)
            return result

        return self._answer(work)

    def price_usage(self) -> dict[str, Any]:
        """Price every row at the list prices of the day, and sum up by model, user, key, hour and request size."""

        def work(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
            prices = self._price(connection)
            return self._money(connection, prices)

        return self._answer(work)

    def find_savings(self) -> dict[str, Any]:
        """Find savings that follow from the rows and the prices, without counting any saving twice."""

        def work(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
            prices = self._price(connection)
            connection.execute("DROP TABLE IF EXISTS marks")
            for table in ("batch_rates", "repeats", "scheduled"):
                connection.execute(f"DROP TABLE IF EXISTS {table}")
            connection.execute("DELETE FROM rates WHERE price_key < 0")
            found = savings.find(connection, prices, self.plan.as_of, savings.Rules())
            top = [row for finding in found["findings"] for row in finding.get("top", ())]
            for index, loaded in enumerate(self._loaded):
                mine = [row for row in top if row["file"] == index]
                lines = loaded.lines(connection, {row["record"] for row in mine})
                for row in mine:
                    row["file"], row["line"] = loaded.file.name, lines[row.pop("record")]
            return found

        return self._answer(work)

    def query_usage(self, sql: str) -> dict[str, Any]:
        """Run one read-only SELECT over the tables `usage` and `priced`.

        Args:
            sql: DuckDB SQL. `cost` in `priced` is in 10⁻¹⁸ USD.

        Returns:
            `{"columns": [...], "rows": [[...]], "truncated": bool}`, or `{"problem": {…}}`.
        """

        def work(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
            self._price(connection)
            return query.run(connection, sql, self._cancelled, self._limits)

        return self._answer(work)

    def _answer(self, work: Callable[[duckdb.DuckDBPyConnection], dict[str, Any]]) -> dict[str, Any]:
        import duckdb

        with self._lock:
            try:
                connection = self._ready()
                with guarded(connection, self._cancelled, self._limits.load_seconds, "The analysis"):
                    return work(connection)
            except MappingQuestion as question:
                return {
                    "question": {
                        "file": question.file,
                        "missing": list(question.missing),
                        "columns": [
                            {"name": name, "samples": list(values)} for name, values in question.samples.items()
                        ],
                    }
                }
            except UsageFileError as error:
                return {
                    "problem": {
                        "message": error.message,
                        "hint": error.hint,
                        "file": error.file,
                        "line": error.line,
                        "column": error.column,
                        "bad_lines": error.bad_lines,
                        "skippable": error.skippable,
                    }
                }
            except duckdb.OutOfMemoryException:
                return {
                    "problem": {
                        "message": f"The files need more than the {self._limits.memory} of memory an analysis may use.",
                        "hint": "Attach a part of the period, or leave out columns that are not needed.",
                        "skippable": False,
                    }
                }
            except duckdb.Error as error:
                # Every foreseen fault of a file is a UsageFileError above; what is left is ours, and is told as such.
                return {
                    "problem": {
                        "message": f"The analysis failed ({type(error).__name__}). This is a fault of the optimizer.",
                        "hint": "Please report it with the header line of the file and a few made-up rows.",
                        "skippable": False,
                    }
                }

    def _load(self) -> None:
        if self._connection is not None:
            return
        self._scratch = Path(tempfile.mkdtemp(prefix="netra-usage-"))
        allowed = [
            path for index, file in enumerate(self.files) for path in (file.path, scratch_path(self._scratch, index))
        ]
        connection = open_database(allowed, self._limits)
        self._loaded = []
        try:
            for index, file in enumerate(self.files):
                self._loaded.append(
                    load(
                        connection,
                        file,
                        index,
                        self._scratch,
                        self._limits,
                        self._cancelled,
                        skip_bad=self.plan.skip_bad,
                    )
                )
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _ready(self) -> duckdb.DuckDBPyConnection:
        """The database with `usage` filled."""
        if self._connection is not None and self._mappings:
            return self._connection
        self._load()
        connection = self._connection
        assert connection is not None
        connection.execute("DROP TABLE IF EXISTS usage")
        create_usage_table(connection)
        mappings, about = list[Mapping](), list[Any]()
        for index, loaded in enumerate(self._loaded):
            samples = sample_values(connection, loaded.table)
            mapping = find_mapping(
                loaded.file.name,
                loaded.table,
                samples,
                self.plan.said,
                lambda name: pricing.resolve_model(name) is not None,
            )
            with guarded(connection, self._cancelled, self._limits.load_seconds, f"Reading `{loaded.file.name}`"):
                done = normalise(connection, loaded, index, mapping, skip_bad=self.plan.skip_bad)
            mappings.append(mapping)
            about.append(_about(loaded, mapping, done.rows, done.left_out, done.blank))
        if not connection.execute("SELECT 1 FROM usage LIMIT 1").fetchone():
            raise UsageFileError("no line of it could be read.", file=self.files[0].name)
        self._mappings, self._files_about = mappings, about
        return connection

    def _price(self, connection: duckdb.DuckDBPyConnection) -> pricing.PriceTable:
        if self._prices is None:
            price_as = pricing.resolve_model(self.plan.price_as) if self.plan.price_as else None
            self._prices = pricing.price_table(connection, self.plan.as_of, price_as)
        return self._prices

    def _suggest(self, connection: duckdb.DuckDBPyConnection) -> list[Any]:
        """What the rows without a model would cost as each of the suggested models."""
        found = connection.execute(
            "SELECT sum(input)::VARCHAR, sum(output)::VARCHAR FROM usage WHERE model IS NULL"
        ).fetchone()
        assert found is not None
        suggestions: list[Any] = []
        for name in SUGGESTED_MODELS:
            match = pricing.resolve_model(name)
            rates = pricing.rates_of(match, "standard", self.plan.as_of) if match else []
            if match and rates:
                units = int(found[0]) * rates[0].input + int(found[1]) * rates[0].output
                suggestions.append({"model": name, "title": match.name, "usd": exact_usd(units)})
        return suggestions

    def _money(self, connection: duckdb.DuckDBPyConnection, prices: pricing.PriceTable) -> dict[str, Any]:
        names = {key: match.model_id for key, match in prices.matches.items()}
        by_model = profile.breakdown(connection, "price_key", missing="?")
        for group in by_model:
            label = group["label"]
            if isinstance(label, str) and label.isdigit():
                group["label"] = names[int(label)]
        over_time = profile.hours(connection)
        for series in over_time.get("series", ()):
            series["name"] = names[series["key"]]
        total = connection.execute(
            "SELECT coalesce(sum(cost), 0)::VARCHAR, count(cost), count(*) - count(cost), "
            "coalesce(sum(stated_cost) FILTER (cost IS NOT NULL), 0)::VARCHAR, count(stated_cost) FILTER "
            "(cost IS NOT NULL) "
            "FROM priced"
        ).fetchone()
        assert total is not None
        unpriced = connection.execute(
            "SELECT coalesce(model, ''), count(*), sum(requests)::BIGINT, sum(input)::HUGEINT::VARCHAR, "
            "sum(output)::HUGEINT::VARCHAR, sum(stated_cost)::VARCHAR, bool_or(price_key IS NOT NULL) "
            "FROM priced WHERE cost IS NULL GROUP BY 1 ORDER BY count(*) DESC, 1"
        ).fetchall()
        tables: dict[str, Any] = {
            "model": by_model,
            "size": profile.breakdown(connection, profile.size_column(), missing="?"),
        }
        filled = connection.execute(
            "SELECT count(user_id), count(key_id), count(time), bool_or(time <> date_trunc('day', time)) FROM priced"
        ).fetchone()
        assert filled is not None
        if filled[0]:
            tables["user"] = profile.breakdown(connection, "user_id", missing="(no user)")
        if filled[1]:
            tables["key"] = profile.breakdown(connection, "key_id", missing="(no key)")
        if filled[2] and filled[3]:
            tables["hour"] = profile.breakdown(
                connection, "strftime(time, '%H:00')", missing="(no time)", by_label=True
            )
        return {
            "as_of": self.plan.as_of.isoformat(),
            "source": pricing.price_source(),
            "total_usd": exact_usd(int(total[0])),
            "rows": total[1],
            "rows_unpriced": total[2],
            "stated_usd": exact_usd(units_of(total[3])) if total[4] else None,
            "stated_rows": total[4],
            "tables": tables,
            "over_time": over_time,
            "prices": _price_list(prices),
            "standard_instead": list(prices.standard_instead),
            "unpriced": [
                {
                    "model": name,
                    "rows": rows,
                    "requests": requests,
                    "input_tokens": int(tokens_in),
                    "output_tokens": int(tokens_out),
                    "stated_usd": stated,
                    "known_without_token_price": known,
                }
                for name, rows, requests, tokens_in, tokens_out, stated, known in unpriced
            ],
        }


def _about(loaded: Loaded, mapping: Mapping, rows: int, left_out: int, blank: int) -> dict[str, Any]:
    title = next((known.title for known in FORMATS if known.id == loaded.table.format), "table")
    return {
        "name": loaded.file.name,
        "format": loaded.table.format,
        "format_title": title,
        "rows": rows,
        "left_out": left_out + len(loaded.skipped),
        "blank_counts": blank,
        "columns": list(loaded.table.columns)[:60],
        "mapping": [
            {
                "role": role,
                "column": column,
                "otherwise": list(mapping.otherwise.get(role, ())),
                "reason": mapping.reasons[role],
            }
            for role, column in mapping.columns.items()
        ],
        "input_includes_cached": mapping.input_includes_cached,
        "aggregated": mapping.aggregated,
        "notes": list(loaded.table.notes),
    }


def _price_list(prices: pricing.PriceTable) -> list[Any]:
    """The rates used, per million tokens, one line for each model, mode, tier and time of day."""
    million = 1_000_000
    shown: list[Any] = []
    for key, match in prices.matches.items():
        for _, (rate_key, rate) in sorted(prices.rates.items()):
            if rate_key != key or (rate.mode != "standard" and not rate.own):
                continue
            entry: dict[str, Any] = {
                "model": match.model_id,
                "names": list(prices.names.get(key, ())),
                "provider": match.provider_id,
                "mode": rate.mode,
                "over_tokens": rate.tokens_over if rate.tokens_over >= 0 else None,
                "hours": None
                if (rate.second_from, rate.second_to) == (0, 86_400)
                else f"{rate.second_from // 3600:02d}:{rate.second_from // 60 % 60:02d}–"
                f"{rate.second_to // 3600:02d}:{rate.second_to // 60 % 60:02d} UTC",
                "input": exact_usd(rate.input * million),
                "cached": exact_usd(rate.cached * million),
                "cache_write": exact_usd(rate.cache_write * million),
                "output": exact_usd(rate.output * million),
                "per_request": exact_usd(rate.request) if rate.request else None,
                "url": match.urls[0] if match.urls else None,
            }
            shown.append(entry)
    return shown

"""The answer as Markdown and charts, made from the tools' JSON results alone, so that it is the same after a crash.
Called by `agent`. Money in a table is rounded so that each column adds up to its total (see `money.shares`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from netra.agents.optimizer.findings import describe_finding, describe_uncounted
from netra.agents.optimizer.mapping import ROLE_TITLES
from netra.agents.optimizer.markdown import code, number, table, tokens
from netra.agents.optimizer.money import places_for, shares, show_usd, units_of
from netra.agents.optimizer.records import JSON

__all__ = ["FINDING_TITLES", "charts", "full_report", "mapping_section"]

FINDING_TITLES = {
    "retries": "Answers thrown away and asked for again",
    "outliers": "Inputs far beyond the usual",
    "output_caps": "A cap on very long answers",
    "smaller_model": "The next smaller model for small requests",
    "caching": "Prompt caching for repeated contexts",
    "batch": "Batch prices for work off peak",
}
_TABLES = (
    ("model", "By model", "Model"),
    ("user", "By user", "User"),
    ("key", "By key", "Key"),
    ("hour", "By hour of the day (UTC)", "Hour"),
    ("size", "By size of the request", "Input tokens of a request"),
)
_REASONS = {"format": "the format", "name": "its name", "values": "its values", "you said": "you said so"}


def _money(values: Sequence[str], total: str) -> tuple[list[str], str]:
    """Amounts in USD as shown, adding up to their total as shown."""
    units = [units_of(value) for value in values]
    places = places_for(units_of(total))
    steps = shares(units, places)
    return [show_usd(step, places) for step in steps], show_usd(sum(steps), places)


def _one(amount: str, scale: str) -> str:
    """One amount with as many decimals as its context `scale` has."""
    places = places_for(units_of(scale))
    return show_usd(shares([units_of(amount)], places)[0], places)


def _percent(part: str, whole: str) -> str:
    base = units_of(whole)
    return f"{100 * units_of(part) / base:.1f} %" if base else "0 %"


def mapping_section(files: Sequence[dict[str, Any]]) -> str:
    """How each file was read, and how to correct it."""
    parts = ["## How I read your file" + ("s" if len(files) > 1 else ""), ""]
    for file in files:
        kind = file["format_title"] if file["format"] != "table" else "a table without a format I know by name"
        parts.append(f"{code(file['name'])}: {kind}, {number(file['rows'])} rows.")
        parts.append("")
        rows = [
            [
                ROLE_TITLES[entry["role"]],
                ", else ".join(map(code, [entry["column"], *entry["otherwise"]])),
                _REASONS[entry["reason"]],
            ]
            for entry in file["mapping"]
        ]
        parts.append(table(["Meaning", "Column", "Found by"], rows))
        details = [f"{note[:1].upper()}{note[1:]}." for note in file["notes"]]
        roles = {entry["role"] for entry in file["mapping"]}
        if "cached" in roles:
            details.append(
                "Input tokens include the cached ones."
                if file["input_includes_cached"]
                else "Cached tokens come on top of the input column."
            )
        if file["aggregated"]:
            details.append("A row sums up several requests.")
        if file["left_out"]:
            details.append(f"{number(file['left_out'])} line(s) could not be read and are in no figure, as you asked.")
        if file["blank_counts"]:
            details.append(f"{number(file['blank_counts'])} row(s) have an empty token count; it is read as 0.")
        if details:
            parts += [" ".join(details), ""]
    parts.append("Is a column wrong? Reply for example `model is engine_name, input = prompt_tok`.")
    return "\n".join(parts) + "\n"


def _headline(profiled: dict[str, Any], priced: dict[str, Any], found: dict[str, Any]) -> str:
    totals = profiled["totals"]
    total, combined = priced["total_usd"], found["combined_usd"]
    places = places_for(units_of(total))
    spent, saved = shares([units_of(total)], places)[0], shares([units_of(combined)], places)[0]
    shown_total, shown_combined, shown_after = (show_usd(steps, places) for steps in (spent, saved, spent - saved))
    period = f" from {_when(totals['first'])} to {_when(totals['last'])}" if totals["first"] else ""
    lines = [
        f"**You spent {shown_total}** on {number(totals['requests'])} requests{period}: "
        f"{tokens(totals['input_tokens'])} input and {tokens(totals['output_tokens'])} output tokens.",
        "",
    ]
    if units_of(combined) > 0:
        lines += [
            f"**{shown_combined} of it ({_percent(combined, total)}) could be saved**, which leaves {shown_after}. "
            "Nothing is counted twice; each finding below says which rows and prices it rests on.",
            "",
        ]
    else:
        lines += ["**I found no saving that follows from these rows.** Below is what I looked for.", ""]
    lines.append(
        f"Priced row by row at the list prices of {priced['as_of']} ({priced['source']}), before taxes and discounts, "
        f"over {number(priced['rows'])} of {number(totals['rows'])} rows."
    )
    if priced["stated_usd"]:
        lines += [
            "",
            f"The file itself states costs of ${_plain(priced['stated_usd'])} for "
            f"{number(priced['stated_rows'])} of these "
            "rows. A difference comes from prices that have changed since, discounts, or tokens the file "
            "does not list.",
        ]
    return "\n".join(lines) + "\n"


def _plain(amount: str) -> str:
    return _one(amount, amount).removeprefix("$")


def _when(moment: str) -> str:
    return moment.replace("T", " ").replace("Z", " UTC")


def _spend(priced: dict[str, Any], drawn: Sequence[dict[str, Any]]) -> str:
    parts = ["## Where it goes", ""]
    parts += [f"```chart\n{chart['id']}\n```\n" for chart in drawn if chart["id"].startswith("spend")]
    total = priced["total_usd"]
    for name, title, column in _TABLES:
        groups = priced["tables"].get(name)
        if not groups or (name == "model" and len(groups) == 1 and len(priced["tables"]) > 3):
            continue
        shown, shown_total = _money([group["usd"] for group in groups], total)
        rows = [
            [
                code(group["label"]) if name in ("model", "user", "key") else group["label"],
                number(group["requests"]),
                tokens(group["input_tokens"]),
                tokens(group["output_tokens"]),
                money,
                _percent(group["usd"], total),
            ]
            for group, money in zip(groups, shown, strict=True)
        ]
        requests = sum(group["requests"] for group in groups)
        tokens_in, tokens_out = sum(g["input_tokens"] for g in groups), sum(g["output_tokens"] for g in groups)
        rows.append(
            ["**Total**", number(requests), tokens(tokens_in), tokens(tokens_out), f"**{shown_total}**", "100.0 %"]
        )
        headers = [column, "Requests", "Input tokens", "Output tokens", "Spend", "Share"]
        parts += [f"### {title}", "", table(headers, rows, right=(1, 2, 3, 4, 5))]
    return "\n".join(parts)


def _savings(found: dict[str, Any], drawn: Sequence[dict[str, Any]]) -> str:
    parts = ["## How to cut it", ""]
    shown = list[str]()
    counted = sorted(
        (finding for finding in found["findings"] if finding["counted"]), key=lambda each: -units_of(each["share_usd"])
    )
    if counted:
        shown, shown_total = _money([each["share_usd"] for each in counted], found["spend_usd"])
        rows = [
            [
                FINDING_TITLES[each["kind"]],
                number(each["rows"]),
                _one(each["alone_usd"], found["spend_usd"]),
                money,
            ]
            for each, money in zip(counted, shown, strict=True)
        ]
        rows.append(["**Together**", "", "", f"**{shown_total}**"])
        parts.append(table(["Finding", "Rows", "Saves alone", "Saves on top of the others"], rows, right=(1, 2, 3)))
        parts.append(
            "Where findings touch the same rows, the last column counts each saving once, in this order: thrown-away "
            "answers, outliers, answer caps, smaller model, caching, batch. It adds up to the total; the column before "
            "it does not.\n"
        )
        parts += [f"```chart\n{chart['id']}\n```\n" for chart in drawn if chart["id"] == "savings"]
    for finding, money in zip(counted, shown, strict=True):
        alone = _one(finding["alone_usd"], found["spend_usd"])
        parts.append(describe_finding(FINDING_TITLES[finding["kind"]], finding, found["rules"], alone, money))
    rest = [finding for finding in found["findings"] if not finding["counted"]]
    if rest:
        parts += ["### Looked for and not counted", ""]
        parts += [f"- {describe_uncounted(FINDING_TITLES[each['kind']], each, found['rules'])}" for each in rest]
        parts.append("")
    return "\n".join(parts)


def _unpriced(profiled: dict[str, Any], priced: dict[str, Any]) -> str:
    parts = ["## What I could not price", ""]
    rows = priced["unpriced"]
    if rows:
        lines = [
            [
                code(each["model"]) if each["model"] else "(no model)",
                number(each["rows"]),
                tokens(each["input_tokens"]),
                tokens(each["output_tokens"]),
                "known, without a price per token" if each["known_without_token_price"] else "not in the price list",
                f"${_plain(each['stated_usd'])}" if each["stated_usd"] else "–",
            ]
            for each in rows[:20]
        ]
        headers = ["Model", "Rows", "Input tokens", "Output tokens", "Why", "Cost stated in the file"]
        parts.append(table(headers, lines, right=(1, 2, 3, 5)))
        if len(rows) > 20:
            parts.append(f"And {number(len(rows) - 20)} more.\n")
        parts.append("These rows are in no figure above. I do not guess prices.\n")
    notes = []
    if priced["standard_instead"]:
        names = ", ".join(map(code, priced["standard_instead"]))
        notes.append(f"The price list has no prices of their own for {names}: standard prices are used.")
    totals = profiled["totals"]
    if totals["rows_with_more_cached_than_input"]:
        notes.append(
            f"{number(totals['rows_with_more_cached_than_input'])} row(s) have more cached than input tokens; "
            "all their "
            "input is taken as cached."
        )
    if totals["repeated_request_ids"]:
        notes.append(
            f"{number(totals['repeated_request_ids'])} row(s) repeat the request id of another row. They are "
            "counted as "
            "they stand; if the export has rows twice, so has the total."
        )
    notes.append(
        "Images, audio, tool calls such as web searches, and storage are not in such files and not in these figures."
    )
    parts += [f"- {note}" for note in notes]
    return "\n".join(parts) + "\n"


def _prices(priced: dict[str, Any], found: dict[str, Any]) -> str:
    rows = []
    for price in priced["prices"]:
        mode = price["mode"]
        if price["over_tokens"] is not None:
            mode += f", over {number(price['over_tokens'])} input tokens"
        if price["hours"]:
            mode += f", {price['hours']}"
        named = [name for name in price["names"] if name != price["model"]]
        model = code(price["model"]) + (f" for {', '.join(map(code, named[:3]))}" if named else "")
        source = f"[{price['provider']}]({price['url']})" if price["url"] else price["provider"]
        rows.append([model, mode, _rate(price["input"]), _rate(price["cached"]), _rate(price["output"]), source])
    for target in found["smaller_models"]:
        source = f"[{target['provider']}]({target['url']})" if target["url"] else target["provider"]
        rates = (_rate(target["input"]), _rate(target["cached"]), _rate(target["output"]))
        rows.append([code(target["model"]), f"{target['mode']}, for comparison", *rates, source])
    headers = ["Model", "Applies to", "Input", "Cached input", "Output", "Price list"]
    return "\n".join(
        [
            "## Prices used",
            "",
            f"USD for a million tokens on {priced['as_of']}, from {priced['source']}. Sums are exact; figures "
            "in a table are "
            "rounded so that they add up to its total.",
            "",
            table(headers, rows, right=(2, 3, 4)),
        ]
    )


def _rate(amount: str) -> str:
    whole, _, part = amount.partition(".")
    return f"${whole}.{part.rstrip('0').ljust(2, '0')}"


def full_report(
    profiled: dict[str, Any], priced: dict[str, Any], found: dict[str, Any], drawn: Sequence[dict[str, Any]]
) -> Iterator[str]:
    """The report, section by section, ready to be streamed."""
    yield _headline(profiled, priced, found) + "\n"
    yield _spend(priced, drawn) + "\n"
    yield _savings(found, drawn) + "\n"
    yield _unpriced(profiled, priced) + "\n"
    yield _prices(priced, found) + "\n"
    yield mapping_section(profiled["files"])


def charts(priced: dict[str, Any], found: dict[str, Any]) -> list[dict[str, JSON]]:
    """The charts of a report in the form the page draws."""
    drawn: list[dict[str, JSON]] = []
    over_time = priced["over_time"]
    if over_time and len(over_time["times"]) > 1:
        series = sorted(over_time["series"], key=lambda each: -sum(map(float, each["usd"])))
        shown: list[JSON] = [{"name": each["name"], "values": _floats(each["usd"])} for each in series[:6]]
        if len(series) > 6:
            rest = [sum(values) for values in zip(*(_floats(each["usd"]) for each in series[6:]), strict=True)]
            shown.append({"name": "all others", "values": [round(value, 9) for value in rest]})
        drawn.append(
            _chart(
                "spend-over-time",
                f"Spend by {over_time['step']}",
                "stacked_bar" if len(shown) > 1 else "bar",
                {"label": "Time (UTC)", "type": "time", "values": over_time["times"]},
                shown,
                f"List prices of {priced['as_of']}, {number(priced['rows'])} rows.",
            )
        )
    for name, title, column in _TABLES:
        groups = priced["tables"].get(name)
        if name in ("user", "key", "size") and groups and len(groups) > 1:
            drawn.append(
                _chart(
                    f"spend-by-{name}",
                    f"Spend {title[0].lower()}{title[1:]}",
                    "bar",
                    {"label": column, "type": "category", "values": [group["label"] for group in groups]},
                    [{"name": "Spend", "values": _floats([group["usd"] for group in groups])}],
                    None,
                )
            )
            break
    counted = [finding for finding in found["findings"] if finding["counted"]]
    if len(counted) > 1:
        drawn.append(
            _chart(
                "savings",
                "Savings, each counted once",
                "bar",
                {"label": "Finding", "type": "category", "values": [FINDING_TITLES[each["kind"]] for each in counted]},
                [{"name": "Saves", "values": _floats([each["share_usd"] for each in counted])}],
                None,
            )
        )
    return drawn


def _floats(amounts: Sequence[str]) -> list[Any]:
    return [round(float(amount), 9) for amount in amounts]


def _chart(
    chart_id: str, title: str, kind: str, x: dict[str, JSON], series: Sequence[JSON], note: str | None
) -> dict[str, JSON]:
    return {
        "id": chart_id,
        "title": title,
        "kind": kind,
        "x": x,
        "y": {"label": "USD", "unit": "usd"},
        "series": list(series),
        "note": note,
    }

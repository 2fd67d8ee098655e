"""Each finding in words: the exact rule, the rows, the prices and their source, the saving, the assumption. Called by
`report`."""

from __future__ import annotations

from typing import Any

from netra.agents.optimizer.markdown import code, number
from netra.agents.optimizer.money import places_for, shares, show_usd, units_of

__all__ = ["describe_finding", "describe_uncounted"]


def _usd(amount: str, scale: str) -> str:
    places = places_for(units_of(scale))
    return show_usd(shares([units_of(amount)], places)[0], places)


def _rate(amount: str) -> str:
    whole, _, part = amount.partition(".")
    return f"${whole}.{part.rstrip('0').ljust(2, '0')}"


def _thresholds(finding: dict[str, Any], what: str) -> str:
    return "; ".join(
        f"{code(each['model'])}: {number(each['tokens'])} tokens ({what} {number(each['largest'])})"
        for each in finding.get("thresholds", ())[:8]
    )


def _hours(hours: list[int]) -> str:
    """`19:00–06:00`: the hours, given in ascending order, as spans on a clock."""
    spans: list[list[int]] = []
    for hour in hours:
        if spans and spans[-1][1] == hour:
            spans[-1][1] = hour + 1
        else:
            spans.append([hour, hour + 1])
    if len(spans) > 1 and spans[0][0] == 0 and spans[-1][1] == 24:
        spans[-1][1] = spans.pop(0)[1]
    return " and ".join(f"{begin:02d}:00–{end % 24:02d}:00" for begin, end in spans)


def _rule(finding: dict[str, Any], rules: dict[str, Any]) -> str:
    match finding["kind"]:
        case "retries":
            return (
                "A request that failed or came back empty, and was sent again within "
                f"{rules['retry_seconds']} seconds by "
                "the same sender with the same model and the same number of input tokens. The first attempt is saved."
            )
        case "outliers":
            return (
                f"Input beyond {rules['outlier_factor']} times the 95th percentile of its model is cut to that. "
                f"Limits: {_thresholds(finding, 'largest seen')}. Models with fewer than "
                f"{rules['least_rows']} requests "
                "are left alone."
            )
        case "output_caps":
            return (
                f"Output beyond {rules['cap_factor']} times the 95th percentile of its model is cut to that. "
                f"Limits: {_thresholds(finding, 'longest seen')}. Models with fewer than "
                f"{rules['least_rows']} requests "
                "are left alone."
            )
        case "smaller_model":
            size = "of a mean size of" if finding.get("by_mean_request") else "of"
            return (
                f"Requests {size} at most {number(rules['small_input'])} input and "
                f"{number(rules['small_output'])} output "
                "tokens go to the next smaller model of the same family."
            )
        case "caching":
            minutes = rules["cache_seconds"] // 60
            evidence = (
                "requests of one session within that time share the beginning that the shorter of the two has"
                if finding.get("evidence") == "session"
                else "the same sender sending exactly as many input tokens again by then sends the same context"
            )
            return (
                f"A context of at least {number(rules['cache_least'])} tokens that is sent again within "
                f"{minutes} minutes "
                f"is read from the cache: {evidence}. Tokens the file already shows as cached are not counted; where "
                "writing to the cache costs extra, that is taken off. Senders who would pay more are left alone."
            )
        case _:
            senders = ", ".join(code(sender) for sender in finding.get("senders", ()))
            return (
                f"Quiet hours are {_hours(finding['quiet_hours'])} (UTC): those with at most "
                f"{rules['quiet_share']:.0%} of "
                "the senders that are at work in an average hour. Requests in them go to batch processing "
                "when their key "
                f"(or user) has at least {rules['off_peak_share']:.0%} of its requests in them: {senders}."
            )


_ASSUMPTIONS = {
    "retries": "the first attempt was billed and of no use. A time-out that is long enough avoids it.",
    "outliers": "what goes beyond the limit is not needed for the answer.",
    "output_caps": "nobody needs the part beyond the cap. Set `max_tokens` to the limit and watch how often it bites.",
    "smaller_model": "the smaller model answers small requests well enough. Compare a few hundred before switching.",
    "caching": "repeated contexts begin with the same text. Put the fixed part of a prompt first.",
    "batch": "this work can wait up to 24 hours for its answer.",
}


def describe_finding(title: str, finding: dict[str, Any], rules: dict[str, Any], alone: str, share: str) -> str:
    """A section of the report on a finding that counts.

    Args:
        alone, share: what it saves alone and on top of the others, as shown in the table above.
    """
    lines = [f"### {title}", "", f"- **Rule:** {_rule(finding, rules)}"]
    lines.append(f"- **Rows:** {number(finding['rows'])}. {_top(finding)}")
    prices = []
    for price in finding.get("prices", ()):
        old, new = price["from"], price["to"]
        if finding["kind"] == "caching":
            change = f"input {_rate(old['input'])} → {_rate(old['cached'])} when read from the cache"
            if units_of(old["cache_write"]) > units_of(old["input"]):
                change += f", {_rate(old['cache_write'])} when written"
        elif finding["kind"] in ("smaller_model", "batch"):
            change = (
                f"→ {code(price['to_model'])}: input {_rate(old['input'])} → {_rate(new['input'])}, output "
                f"{_rate(old['output'])} → {_rate(new['output'])}"
            )
        elif finding["kind"] == "output_caps":
            change = f"output {_rate(old['output'])}"
        elif finding["kind"] == "outliers":
            change = f"input {_rate(old['input'])}"
        else:
            change = f"input {_rate(old['input'])}, output {_rate(old['output'])}"
        prices.append(f"{code(price['model'])} ({number(price['rows'])} rows): {change}")
    lines.append(f"- **Prices** (USD for a million tokens, sources under “Prices used”): {'; '.join(prices)}.")
    lines.append(f"- **Saves** {alone} alone, {share} on top of the others.")
    lines.append(f"- **Assumes** that {_ASSUMPTIONS[finding['kind']]}")
    return "\n".join(lines) + "\n"


def _top(finding: dict[str, Any]) -> str:
    top = finding.get("top", ())
    if not top:
        return ""
    shown = ", ".join(
        f"{code(row['file'])} line {row['line']} ({number(row['input'])} in, {number(row['output'])} out)"
        for row in top
    )
    return f"Most is saved in {shown}."


def describe_uncounted(title: str, finding: dict[str, Any], rules: dict[str, Any]) -> str:
    """One line on something that was looked for and does not count."""
    if "why_not" in finding:
        line = f"**{title}:** {finding['why_not']}."
        if finding.get("possible_rows"):
            line += (
                f" If every repeat of the same length within {rules['cache_seconds'] // 60} minutes were the "
                "same context, "
                f"{number(finding['possible_rows'])} rows would save "
                f"{_usd(finding['possible_usd'], finding['possible_usd'])}."
            )
        return line
    thresholds = _thresholds(finding, "largest seen")
    reason = f"no row goes beyond the limit. Limits: {thresholds}" if thresholds else "no row matches"
    if finding["kind"] == "retries" and finding.get("failed_rows"):
        reason = f"{number(finding['failed_rows'])} request(s) failed, none was sent again at once"
    return f"**{title}:** {reason}."

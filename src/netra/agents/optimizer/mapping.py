"""Finds out which column means what, explains it, and takes corrections. Called by `workspace`; works on column names
and a sample of values, never on files.

A known format decides first, then the column's name, then its values; what the person said overrides all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from collections.abc import Mapping as MappingType
from datetime import UTC, datetime

from netra.agents.optimizer.formats import recognise
from netra.agents.optimizer.records import INTEGER_ROLES, ROLES, Mapping, MappingQuestion, RawTable, Role

__all__ = ["ROLE_TITLES", "find_mapping", "parse_corrections", "time_format_of"]

ROLE_TITLES: dict[Role, str] = {
    "time": "time of the request",
    "model": "model",
    "input": "input tokens",
    "output": "output tokens",
    "cached": "cached input tokens",
    "cache_write": "input tokens written to the cache",
    "cache_write_1h": "input tokens written to the one-hour cache",
    "requests": "requests in the row",
    "user": "user",
    "key": "key",
    "session": "session",
    "provider": "provider",
    "mode": "standard, batch or other service tier",
    "status": "outcome",
    "cost": "cost the file itself states",
    "request_id": "request id",
    "context_window": "size of the context",
}

_SYNONYMS: dict[Role, tuple[str, ...]] = {
    "time": (
        "timestamp", "time", "starttime", "createdat", "datetime", "date", "ts", "requesttime", "eventtime",
        "usagedateutc",
        "usagedate", "created", "startedat", "requestedat", "loggedat", "at", "day", "hour", "starttimeunixnano",
        "when",
    ),
    "model": (
        "model", "modelname", "modelid", "modelversion", "genairesponsemodel", "genairequestmodel", "engine", "llm",
        "deployment", "modelgroup", "snapshotid", "enginename",
    ),
    "input": (
        "inputtokens", "prompttokens", "contexttokens", "inputtoken", "promptokens", "tokensin", "tokensprompt",
        "numinputtokens",
        "numprompttokens", "nprompttokens", "ncontexttokenstotal", "requesttokens", "prompttokencount",
        "inputtokencount",
        "totalinputtokens", "tokensinput", "intokens", "usageprompttokens", "usageinputtokens", "inputlength",
        "promptlength",
        "nativetokensprompt", "prompttok", "inputtok",
        "input", "prompt",
    ),
    "output": (
        "outputtokens", "completiontokens", "generatedtokens", "outputtoken", "tokensout", "tokenscompletion",
        "numoutputtokens",
        "numcompletiontokens", "ncompletiontokens", "ngeneratedtokenstotal", "responsetokens", "candidatestokencount",
        "outputtokencount", "totaloutputtokens", "tokensoutput", "outtokens", "usagecompletiontokens",
        "usageoutputtokens",
        "outputlength", "completionlength", "nativetokenscompletion", "completiontok", "outputtok",
        "gentokens", "output", "completion",
    ),
    "cached": (
        "cachedtokens", "inputcachedtokens", "cachedinputtokens", "cachereadtokens", "cachereadinputtokens",
        "tokenscached",
        "cachedcontenttokencount", "cachedprompttokens", "prompttokenscached", "cacheread", "nativetokenscached",
        "usageprompttokensdetailscachedtokens", "prompttokensdetailscachedtokens", "usagecachereadinputtokens",
    ),
    "cache_write": (
        "cachewritetokens", "cachecreationinputtokens", "cachecreationtokens", "cachewrite", "cachewriteinputtokens",
        "usagecachecreationinputtokens",
    ),
    "cache_write_1h": ("cachewrite1htokens", "ephemeral1hinputtokens"),
    "requests": ("requests", "nummodelrequests", "numrequests", "nrequests", "requestcount", "apirequests", "calls",
                 "count"),
    "user": ("user", "userid", "username", "useremail", "email", "enduser", "enduserid", "customer", "customerid",
        "account",
             "team", "teamid", "project", "projectid", "projectname", "workspace", "department", "tenant", "owner"),
    "key": ("apikey", "apikeyid", "apikeyname", "key", "keyname", "keyid", "keyalias", "apikeyalias", "app",
        "application",
            "appname", "service", "servicename", "feature"),
    "session": ("sessionid", "session", "conversationid", "conversation", "threadid", "chatid", "traceid",
                "genaiconversationid"),
    "provider": ("provider", "providername", "customllmprovider", "genaisystem", "genaiprovidername", "vendor"),
    "mode": ("servicetier", "batch", "mode", "usagetype", "processing", "isbatch", "tier"),
    "status": ("status", "statuscode", "httpstatus", "success", "outcome", "error", "errortype", "finishreason"),
    "cost": ("cost", "costusd", "spend", "totalcost", "amount", "amountusd", "priceusd", "price", "usd", "costusdtotal",
             "charge", "expense"),
    "request_id": ("requestid", "id", "callid", "completionid", "generationid", "responseid", "uuid"),
    "context_window": ("contextwindow",),
}  # fmt: skip

_NEEDED: tuple[Role, ...] = ("input", "output")
_FILLED_UP: frozenset[Role] = frozenset({"model", "key", "cached", "cache_write"})
"""Roles for which a known format has several columns, of which any one may be blank in a row."""

_TIME_FORMATS = (
    "%m/%d/%Y %H:%M:%S|%m/%d/%Y %H:%M|%m/%d/%Y %I:%M:%S %p|%m/%d/%Y %I:%M %p|%m/%d/%Y",
    "%d/%m/%Y %H:%M:%S|%d/%m/%Y %H:%M|%d/%m/%Y",
    "%d.%m.%Y %H:%M:%S|%d.%m.%Y %H:%M|%d.%m.%Y",
    "%Y/%m/%d %H:%M:%S|%Y/%m/%d %H:%M|%Y/%m/%d",
    "%d/%b/%Y:%H:%M:%S %z",
)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _epoch_unit(value: str) -> str | None:
    """Unit of an integer that lies between the years 2000 and 2100."""
    if not re.fullmatch(r"\d{9,19}(\.\d+)?", value):
        return None
    number = float(value)
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)):
        if 946_684_800 <= number / scale < 4_102_444_800:
            return unit
    return None


def _is_iso(value: str) -> bool:
    text = re.sub(r"(\.\d{6})\d+", r"\1", value.strip().removesuffix(" UTC")).replace("/", "-")
    if not re.match(r"\d{4}-\d{1,2}-\d{1,2}", text):
        return False
    text = re.sub(r"-(\d)(?=\D|$)", r"-0\1", text)
    text = re.sub(r"([+-]\d{2})$", r"\1:00", text) if "T" in text or " " in text else text
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _matches(value: str, formats: str) -> bool:
    for form in formats.split("|"):
        try:
            datetime.strptime(value.strip(), form).replace(tzinfo=UTC)
        except ValueError:
            continue
        return True
    return False


def time_format_of(values: Sequence[str]) -> str | None:
    """How most of `values` are written, in the notation of `Mapping.time_format`; None when they are no times."""
    values = [value.strip() for value in values if value.strip()]
    if not values:
        return None
    best, votes = None, 0
    candidates: list[tuple[str, Callable[[str], bool]]] = [("iso", _is_iso)]
    candidates += [(unit, lambda value, unit=unit: _epoch_unit(value) == unit) for unit in ("s", "ms", "us", "ns")]  # type: ignore[misc]
    candidates += [(form, lambda value, form=form: _matches(value, form)) for form in _TIME_FORMATS]  # type: ignore[misc]
    for name, test in candidates:
        count = sum(1 for value in values if test(value))
        if count > votes:
            best, votes = name, count
    return best if votes * 2 > len(values) else None


def _counts(values: Sequence[str]) -> bool:
    """Most values are whole numbers that are not points in time."""
    values = [value.strip() for value in values if value.strip()]
    whole = sum(1 for value in values if re.fullmatch(r"\d+(\.0+)?|\d{1,3}(,\d{3})+", value))
    return bool(values) and whole * 2 > len(values) and not all(_epoch_unit(value) for value in values)


def _fits(role: Role, values: Sequence[str]) -> bool:
    """The values can be of this role; an empty column fits optional roles only."""
    filled = [value for value in values if value.strip()]
    if role == "time":
        return time_format_of(filled) is not None
    if role in INTEGER_ROLES:
        return not filled or _counts(filled)
    if role == "model":
        return bool(filled) and not all(re.fullmatch(r"[\d.,:\-/ T]+", value) for value in filled)
    if role == "cost":
        return all(re.fullmatch(r"\$?-?[\d.,]+([eE]-?\d+)?", value.strip()) for value in filled)
    return bool(filled)


def find_mapping(
    file: str,
    table: RawTable,
    samples: MappingType[str, Sequence[str]],
    said: MappingType[Role, str] | None = None,
    known_model: Callable[[str], bool] = lambda _: False,
) -> Mapping:
    """The mapping of one file.

    Args:
        file: its name, for errors.
        table: the loaded table.
        samples: column name to some of its values.
        said: what the person said; column names that this file does not have are passed over.
        known_model: whether prices are known for a model name.

    Raises:
        MappingQuestion: input or output tokens cannot be found.
    """
    columns: dict[Role, str] = {}
    reasons: dict[Role, str] = {}
    otherwise: dict[Role, tuple[str, ...]] = {}
    by_lower = {column.lower(): column for column in table.columns}

    def take(role: Role, column: str, reason: str) -> None:
        columns[role], reasons[role] = column, reason

    for role, column in (said or {}).items():
        if column.lower() in by_lower:
            take(role, by_lower[column.lower()], "you said")
    known = recognise(table.columns)
    if known:
        for role, names in known.roles.items():
            if role in columns:
                continue
            present = [by_lower[name.lower()] for name in names if name.lower() in by_lower]
            filled = [name for name in present if any(value.strip() for value in samples.get(name, ()))]
            usable = [name for name in filled if role != "time" or time_format_of(samples[name])]
            if usable or (present and role in _NEEDED):
                take(role, (usable or present)[0], "format")
                if role in _FILLED_UP and len(usable) > 1:
                    otherwise[role] = tuple(usable[1:])
    else:
        _by_name(table, samples, columns, reasons)
        _by_values(table, samples, columns, reasons, known_model)
    missing = tuple(role for role in _NEEDED if role not in columns)
    if missing:
        raise MappingQuestion(file, missing, table, {name: list(samples.get(name, ()))[:3] for name in table.columns})
    time_format = time_format_of(samples.get(columns["time"], ())) if "time" in columns else None
    return Mapping(
        columns={role: columns[role] for role in ROLES if role in columns},
        reasons=reasons,
        otherwise=otherwise,
        input_includes_cached=known.input_includes_cached if known else _includes_cached(columns, samples),
        aggregated=known.aggregated if known else "requests" in columns,
        time_format=time_format or "iso",
    )


def _includes_cached(columns: dict[Role, str], samples: MappingType[str, Sequence[str]]) -> bool:
    """Cached tokens are part of the input column unless a row has more of them than input."""
    if "cached" not in columns:
        return True
    for cached, whole in zip(samples.get(columns["cached"], ()), samples.get(columns["input"], ()), strict=False):
        if cached.strip().isdigit() and whole.strip().isdigit() and int(cached) > int(whole):
            return False
    return True


def _by_name(
    table: RawTable,
    samples: MappingType[str, Sequence[str]],
    columns: dict[Role, str],
    reasons: dict[Role, str],
) -> None:
    taken = set(columns.values())
    for role in ROLES:
        if role in columns:
            continue
        ranked: list[tuple[int, int, str]] = []
        for position, column in enumerate(table.columns):
            if column in taken:
                continue
            plain, last = _plain(column), _plain(re.split(r"[.:/]", column)[-1])
            for candidate, penalty in ((plain, 0), (last, 100)):
                if candidate in _SYNONYMS[role] and _fits(role, samples.get(column, ())):
                    ranked.append((_SYNONYMS[role].index(candidate) + penalty, position, column))
                    break
        if ranked:
            columns[role], reasons[role] = min(ranked)[2], "name"
            taken.add(columns[role])


def _by_values(
    table: RawTable,
    samples: MappingType[str, Sequence[str]],
    columns: dict[Role, str],
    reasons: dict[Role, str],
    known_model: Callable[[str], bool],
) -> None:
    free = [column for column in table.columns if column not in columns.values()]
    for role in ("time", "model"):
        if role in columns:
            continue
        for column in free:
            values = [value for value in samples.get(column, ()) if value.strip()]
            if role == "time":
                found = time_format_of(values) is not None
            else:
                found = bool(values) and sum(map(known_model, set(values))) * 2 > len(set(values))
            if found:
                columns[role], reasons[role] = column, "values"
                free.remove(column)
                break
    # Two columns of whole numbers without telling names: prompts come before answers in every format known.
    if not table.has_header and "input" not in columns and "output" not in columns:
        numbers = [column for column in free if _counts(samples.get(column, ()))]
        if len(numbers) == 2:
            columns["input"], columns["output"] = numbers
            reasons["input"] = reasons["output"] = "values"


_ROLE_WORDS: dict[str, Role] = {
    "time": "time", "timestamp": "time", "date": "time", "model": "model", "engine": "model",
    "input": "input", "input tokens": "input", "inputs": "input", "prompt": "input", "prompt tokens": "input",
    "context tokens": "input", "output": "output", "output tokens": "output", "outputs": "output",
        "completion": "output",
    "completion tokens": "output", "generated tokens": "output", "cached": "cached", "cached tokens": "cached",
    "cache read": "cached", "cached input": "cached", "cached input tokens": "cached", "cache write": "cache_write",
    "cache writes": "cache_write", "requests": "requests", "request count": "requests", "user": "user", "users": "user",
    "key": "key", "api key": "key", "session": "session", "conversation": "session", "provider": "provider",
    "mode": "mode", "tier": "mode", "service tier": "mode", "batch": "mode", "status": "status", "outcome": "status",
    "cost": "cost", "spend": "cost", "request id": "request_id", "id": "request_id",
}  # fmt: skip


def parse_corrections(text: str, known_columns: Sequence[str]) -> dict[Role, str]:
    """What a reply such as `model is engine_name, input = prompt_tok` says about the columns.

    Args:
        text: the reply.
        known_columns: columns of the files; a pair counts only when its right side is one of them, so that
            "the model is slow" is not taken for a correction.
    """
    said: dict[Role, str] = {}
    words = "|".join(sorted((re.escape(word) for word in _ROLE_WORDS), key=len, reverse=True))
    columns = sorted(known_columns, key=len, reverse=True)
    if not columns:
        return said
    names = "|".join(re.escape(column) for column in columns)
    pattern = re.compile(
        rf"\b(?:the\s+)?({words})(?:\s+column)?\s*(?:=|:|->|→|is(?:\s+(?:in|called|named|the\s+column))?|are(?:\s+in)?|comes\s+from)"
        rf"\s*(?:the\s+)?(?:column\s+)?[`\"']?({names})[`\"']?(?=$|[\s,;.!?)])",
        re.IGNORECASE,
    )
    by_lower = {column.lower(): column for column in known_columns}
    for found in pattern.finditer(text):
        said[_ROLE_WORDS[re.sub(r"\s+", " ", found[1].lower())]] = by_lower[found[2].lower()]
    return said

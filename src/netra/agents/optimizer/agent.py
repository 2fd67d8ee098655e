"""The built-in agent: reads a message, works through its sub-agents triage, data, optimization and report, and answers
with a report, a question back, or what it can do. Stateless: one object serves every run of every user.

What a person decided in a thread (columns, model to price as) travels in the `result` of the answers, and the files in
the thread's history, so a later message goes on where the last one stopped.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from netra.agents.context import Answer, RunCancelled

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from netra.agents.context import RunContext
    from netra.agents.optimizer.intent import Intent
    from netra.agents.optimizer.records import SourceFile
    from netra.agents.optimizer.workspace import Plan, Workspace

__all__ = ["EXAMPLES", "NetraOptimizer"]

EXAMPLES = (
    "Where does my AI spend go, and how could I cut it?",
    "Where does my AI spend go, and how could I cut it? Price it as gpt-4o.",
    "Which requests could go to a cheaper model?",
)
_ROLES_HELP = "time, model, input, output, cached, requests, user, key, session, status, cost"


@dataclass(frozen=True, slots=True)
class _State:
    """What earlier answers of the thread decided."""

    said: dict[str, str]
    price_as: str | None
    skip_bad: bool
    choices: tuple[str, ...]


class NetraOptimizer:
    """The agent itself.

    Args:
        model: a language model for free questions, as pydantic-ai names it (`openai:gpt-5-mini`) or as an object of
            pydantic-ai; None for none.
        base_url: an OpenAI-compatible server that has the model; None for the model's own provider.
        api_key: the key of that server; None to leave it to the provider's environment variable.
    """

    name = "netra-optimizer"
    title = "Netra Optimizer"
    description = (
        "Finds out where your AI spend goes and how to cut it, from a usage file (CSV, JSONL, JSON or Parquet). "
        "Works without a language model and without a network."
    )
    examples = EXAMPLES
    accepts = (".csv", ".jsonl", ".parquet", ".json")

    def __init__(
        self, model: str | Model | None = None, base_url: str | None = None, api_key: str | None = None
    ) -> None:
        self._model = model
        self._base_url = base_url
        self._api_key = api_key

    async def run(self, ctx: RunContext) -> Answer:
        """Answers one message."""
        await asyncio.to_thread(_import_everything)
        from netra.agents.optimizer.records import Cancelled
        from netra.agents.optimizer.workspace import Workspace

        triage = ctx.sub("triage")
        state, files = _state(ctx), _files(ctx)
        as_of = date.fromisoformat(await ctx.step(_today, name="today"))
        workspace = Workspace(files, _plan(state, None, as_of), ctx.cancelled)
        try:
            intent = await self._intent(ctx, workspace, state)
            if not files:
                return await self._without_files(triage, intent)
            if intent.free and (self._model or not ctx.message.attachments):
                return await self._free_question(ctx, triage, workspace)
            if intent.unknown_model:
                await triage.think(f"There is no price for a model called {intent.unknown_model!r}.")
                return _unknown_model(intent.unknown_model, state)
            workspace.close()
            plan = _plan(state, intent, as_of)
            workspace = Workspace(files, plan, ctx.cancelled)
            names = ", ".join(file.name for file in files)
            await triage.think(f"This asks where the spend in {names} goes and how to cut it{_because(plan)}.")
            return await self._analyse(ctx, workspace)
        except Cancelled:
            raise RunCancelled("The run has ended.") from None
        finally:
            await asyncio.to_thread(workspace.close)

    async def _intent(self, ctx: RunContext, workspace: Workspace, state: _State) -> Intent:
        from netra.agents.optimizer.intent import understand
        from netra.agents.optimizer.pricing import resolve_model

        text = ctx.message.content

        def read() -> Intent:
            # Only a text that could assign columns is worth reading the files for.
            columns = (
                workspace.columns()
                if workspace.files and any(sign in text for sign in ("=", ":", " is ", "->", "→", " are "))
                else ()
            )
            return understand(
                text,
                columns=columns,
                choices=state.choices,
                find_model=resolve_model,
                has_files=bool(workspace.files),
            )

        return await asyncio.to_thread(read)

    async def _analyse(self, ctx: RunContext, workspace: Workspace) -> Answer:
        from netra.agents.optimizer import report

        plan = workspace.plan
        files = [file.name for file in workspace.files]
        data = ctx.sub("data")
        await data.think(
            f"Reading {', '.join(files)}: which format it is, what its columns mean, and whether every value "
            "can be read."
        )
        profiled = await data.tool(
            workspace.profile_usage, purpose="Recognise the format, map the columns, check every row"
        )
        if "problem" in profiled:
            return _problem(profiled["problem"], plan)
        if "question" in profiled:
            return _ask_columns(profiled["question"], plan)
        await data.think(_seen(profiled))
        if profiled["totals"]["rows_without_model"] == profiled["totals"]["rows"] and not plan.price_as:
            await data.think("The file does not say which model was used, and I do not guess: I have to ask.")
            return _ask_model(profiled, plan)
        work = ctx.sub("optimization")
        await work.think(
            "Pricing every row at today's list prices, then looking for savings that follow from the rows."
        )
        priced = await work.tool(workspace.price_usage, purpose="Price every row and sum up where the money goes")
        if "problem" in priced:
            return _problem(priced["problem"], plan)
        if not priced["rows"]:
            return _nothing_priced(priced, profiled, plan)
        found = await work.tool(workspace.find_savings, purpose="Find savings without counting any twice")
        if "problem" in found:
            return _problem(found["problem"], plan)
        writer = ctx.sub("report")
        counted = [finding for finding in found["findings"] if finding["counted"]]
        await writer.think(
            f"Writing the report: {len(counted)} finding(s) count, with the rows and prices behind each."
        )
        drawn = report.charts(priced, found)
        for section in report.full_report(profiled, priced, found, drawn):
            await ctx.stream(section)
        return Answer(
            text=None,
            result={
                "charts": drawn,
                "suggestions": _follow_ups(plan),
                "totals": {name: priced[name] for name in ("total_usd", "rows", "rows_unpriced", "as_of", "source")},
                "savings": {
                    "combined_usd": found["combined_usd"],
                    "findings": [
                        {name: finding[name] for name in ("kind", "rows", "alone_usd", "share_usd")}
                        for finding in counted
                    ],
                },
                "optimizer": _remember(plan),
            },
        )

    async def _without_files(self, triage: RunContext, intent: Intent) -> Answer:
        await triage.think("There is no usage file in this conversation yet.")
        return Answer(
            "Attach a file with usage records to your question, and I will find out where the spend goes and how to "
            f"cut it.\n\n{_what_i_read()}\n\nNo file at hand? Begin a new thread and press “Try with sample data”, "
            "or write one with `netra demo-data`: a month of made-up but realistic usage.",
            {"suggestions": list(EXAMPLES[:1])},
        )

    async def _free_question(self, ctx: RunContext, triage: RunContext, workspace: Workspace) -> Answer:
        if self._model:
            from netra.agents.optimizer.assistant import answer_question

            await triage.think("A free question about the data: the language model answers it with the same tools.")
            return await answer_question(ctx, workspace, self._model, self._base_url, self._api_key)
        await triage.think("This goes beyond the built-in analysis, and no language model is configured.")
        return Answer(
            "No language model is configured, so I cannot answer free questions. This is what I can do with "
            "your file:\n\n"
            "- say where the spend goes: by model, user, key, hour and size of request;\n"
            "- find savings: smaller models for small requests, prompt caching, batch prices, caps on long answers, "
            "outliers and retries;\n"
            "- price the same usage as another model: `price it as gpt-4o-mini`;\n"
            f"- read other columns: `model is engine_name, input = prompt_tok` ({_ROLES_HELP}).\n\n"
            "With a language model in Netra's settings I answer questions in your own words over the same data.",
            {"suggestions": [*EXAMPLES[:1], "Price it as gpt-4o-mini"], "optimizer": _remember(workspace.plan)},
        )


async def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _files(ctx: RunContext) -> tuple[SourceFile, ...]:
    """The files of this message, else those of the last message that had any."""
    from netra.agents.optimizer.records import SourceFile

    attached = ctx.message.attachments
    if not attached:
        attached = next((turn.attachments for turn in reversed(ctx.history) if turn.attachments), ())
    if not attached:
        attached = ctx.files.all()[-1:]
    return tuple(SourceFile(file.id, file.name, file.path) for file in attached)


def _state(ctx: RunContext) -> _State:
    """What was decided since the files were attached; files attached now begin anew."""
    if not ctx.message.attachments:
        for turn in reversed(ctx.history):
            kept = turn.result.get("optimizer") if isinstance(turn.result, dict) else None
            if isinstance(kept, dict):
                choices = turn.result.get("choices", ())
                return _State(
                    dict(kept.get("said") or {}), kept.get("price_as"), bool(kept.get("skip_bad")), tuple(choices)
                )
            if turn.attachments:
                break
    return _State({}, None, False, ())


def _plan(state: _State, intent: Intent | None, as_of: date) -> Plan:
    from netra.agents.optimizer.records import ROLES
    from netra.agents.optimizer.workspace import Plan

    said = {role: state.said[role] for role in ROLES if role in state.said}
    if intent:
        said |= intent.said
    return Plan(
        said=said,
        price_as=(intent.price_as if intent else None) or state.price_as,
        skip_bad=state.skip_bad or bool(intent and intent.skip_bad),
        as_of=as_of,
    )


def _remember(plan: Plan) -> dict[str, Any]:
    return {"said": dict(plan.said), "price_as": plan.price_as, "skip_bad": plan.skip_bad}


def _because(plan: Plan) -> str:
    parts = []
    if plan.price_as:
        parts.append(f"rows without a model are priced as {plan.price_as}")
    if plan.said:
        parts.append("columns as you said: " + ", ".join(f"{role} = {column}" for role, column in plan.said.items()))
    if plan.skip_bad:
        parts.append("lines that cannot be read are left out")
    return f" ({'; '.join(parts)})" if parts else ""


def _seen(profiled: dict[str, Any]) -> str:
    totals = profiled["totals"]
    kinds = ", ".join(f"{file['name']} is {file['format_title']}" for file in profiled["files"])
    tokens = f"{totals['input_tokens']:,} input and {totals['output_tokens']:,} output tokens"
    return f"{kinds}: {totals['rows']:,} rows, {tokens}."


def _what_i_read() -> str:
    return (
        "I read CSV, JSONL, JSON and Parquet: OpenAI and Anthropic usage exports, LiteLLM spend logs, "
        "OpenTelemetry GenAI "
        "spans, and any table with columns for time, model, input tokens and output tokens."
    )


def _problem(problem: dict[str, Any], plan: Plan) -> Answer:
    text = f"I cannot read this file yet.\n\n{problem['message']}"
    if problem.get("hint"):
        text += f"\n\n{problem['hint']}"
    skip = bool(problem.get("skippable")) and not plan.skip_bad
    return Answer(
        text,
        {
            "problem": {name: problem.get(name) for name in ("file", "line", "column", "message")},
            "suggestions": ["Skip bad lines"] if skip else [],
            "optimizer": _remember(plan),
        },
    )


def _ask_columns(question: dict[str, Any], plan: Plan) -> Answer:
    from netra.agents.optimizer.mapping import ROLE_TITLES
    from netra.agents.optimizer.markdown import code, table

    wanted = " and ".join(f"**{ROLE_TITLES[role]}**" for role in question["missing"])
    rows = [
        [code(column["name"]), ", ".join(code(value, 30) for value in column["samples"])]
        for column in question["columns"][:40]
    ]
    names = [column["name"] for column in question["columns"]]
    example = ", ".join(f"{role} = {name}" for role, name in zip(question["missing"], names[-2:], strict=False))
    return Answer(
        f"In {code(question['file'])} I could not find the column for {wanted}. Which is it?\n\n"
        f"{table(['Column', 'Values'], rows)}\nReply for example `{example}`.",
        {"suggestions": [], "optimizer": _remember(plan)},
    )


def _ask_model(profiled: dict[str, Any], plan: Plan) -> Answer:
    from netra.agents.optimizer.markdown import code, number, tokens
    from netra.agents.optimizer.money import places_for, shares, show_usd, units_of
    from netra.agents.optimizer.report import mapping_section

    totals = profiled["totals"]
    lines = []
    for position, each in enumerate(profiled["suggested_models"], 1):
        units = units_of(each["usd"])
        places = places_for(units)
        lines.append(f"{position}. {code(each['model'])}: {show_usd(shares([units], places)[0], places)} for this file")
    models = [each["model"] for each in profiled["suggested_models"]]
    text = (
        f"**Which model should I price this as?** The file has no column that names a model, so I can count tokens "
        f"({number(totals['requests'])} requests, {tokens(totals['input_tokens'])} input and "
        f"{tokens(totals['output_tokens'])} output tokens) but not money.\n\n"
        + "\n".join(lines)
        + "\n\nReply with a number, or `price it as` and any model.\n\n"
        + mapping_section(profiled["files"])
    )
    return Answer(
        text,
        {
            "suggestions": [f"Price it as {model}" for model in models[:4]],
            "choices": models,
            "optimizer": _remember(plan),
        },
    )


def _unknown_model(name: str, state: _State) -> Answer:
    from netra.agents.optimizer.markdown import code
    from netra.agents.optimizer.workspace import SUGGESTED_MODELS

    return Answer(
        f"I have no price for a model called {code(name)}, and I do not guess one. Write it as its maker's "
        "API does, for "
        f"example {', '.join(map(code, SUGGESTED_MODELS))}.",
        {
            "suggestions": [f"Price it as {model}" for model in SUGGESTED_MODELS[:4]],
            "choices": list(state.choices),
            "optimizer": {"said": state.said, "price_as": state.price_as, "skip_bad": state.skip_bad},
        },
    )


def _nothing_priced(priced: dict[str, Any], profiled: dict[str, Any], plan: Plan) -> Answer:
    from netra.agents.optimizer.markdown import code, number, table, tokens
    from netra.agents.optimizer.report import mapping_section

    rows = [
        [
            code(each["model"]) if each["model"] else "(no model)",
            number(each["rows"]),
            tokens(each["input_tokens"]),
            tokens(each["output_tokens"]),
        ]
        for each in priced["unpriced"][:30]
    ]
    return Answer(
        f"**I could price none of the rows.** {priced['source']} has no price per token for the models in "
        "this file, and I "
        "do not guess prices.\n\n"
        + table(["Model", "Rows", "Input tokens", "Output tokens"], rows, right=(1, 2, 3))
        + "\n"
        + mapping_section(profiled["files"]),
        {"suggestions": [], "optimizer": _remember(plan)},
    )


def _follow_ups(plan: Plan) -> list[str]:
    if not plan.price_as:
        return []
    return [f"Price it as {each}" for each in ("gpt-4o-mini", "claude-haiku-5-5", "gpt-6-sol") if each != plan.price_as]


def _import_everything() -> None:
    """Imports what this package works with: a second or so the first time, which must not hold up the event loop."""
    from netra.agents.optimizer import findings, pricing, report, savings, workspace  # noqa: F401

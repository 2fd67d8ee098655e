"""`--fix`: apply what rules propose, without ever leaving a file that does not parse.

A fix is applied whole or not at all, over all its files. Two that touch the same lines cannot both be: the second is
left for the next pass, which looks at the code as it is then. A fix is refused where the code is not spelled as it
expects, where it would take a part of a statement or a comment with it, and where it would close a circle of imports. A
file is written only when it parsed before and parses after; otherwise every fix that wanted to change it is taken back.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import io
import os
import re
import tempfile
import tokenize
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from msgspec.structs import replace

from . import baseline as baselines
from .extract import extract
from .housekeeping import STALE, UNUSED, split
from .needs import Needs
from .outcome import Outcome
from .project import File
from .rule import Edit, Finding, Fix

PASSES = 5
"""At most: each sees the code that the one before it left."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A fix that was not applied, and why."""

    finding: Finding
    reason: str


@dataclass(slots=True)
class FixPlan:
    """What a pass would do: the new text of each file, and which findings it mends."""

    texts: dict[str, tuple[_Source, str]] = field(default_factory=dict)
    mended: list[Finding] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Source:
    path: Path
    text: str
    encoding: str
    bom: bytes
    tree: ast.Module = field(repr=False)
    lines: list[str] = field(repr=False)
    comments: list[tuple[int, str]] = field(repr=False)


def plan(outcome: Outcome, *, unsafe: bool) -> FixPlan:
    """What can be applied to the code of an outcome at once."""
    root, files = outcome.report.root, outcome.report.project.by_path
    made = FixPlan()
    needs = Needs(outcome.report.project)
    sources: dict[str, _Source | str] = {}
    taken: dict[str, list[Edit]] = defaultdict(list)
    accepted: list[tuple[Finding, Fix]] = []
    for finding in outcome.shown:
        fix = finding.fix
        if fix is None or not (fix.safe or unsafe):
            continue
        for path in {edit.path for edit in fix.edits} - sources.keys():
            sources[path] = _read(root, path, files.get(path))
        if reason := needs.circle(fix):
            made.refused.append(Refused(finding, reason))
            continue
        for part in (replace(fix, edits=(edit,)) for edit in fix.edits) if fix.apart else (fix,):
            if reason := _obstacle(finding, part, sources, taken):
                made.refused.append(Refused(finding, reason))
                continue
            accepted.append((finding, part))
            for edit in part.edits:
                if edit not in taken[edit.path]:
                    taken[edit.path].append(edit)
    usable, made.texts = _largest(accepted, {path: each for path, each in sources.items() if isinstance(each, _Source)})
    done = {id(fix) for _, fix in usable}
    made.refused += [
        Refused(each, "the file would not parse after it") for each, fix in accepted if id(fix) not in done
    ]
    partly = {id(each.finding) for each in made.refused}
    changing = {id(each): each for each, fix in usable if any(edit.path in made.texts for edit in fix.edits)}
    made.mended = [each for each in changing.values() if id(each) not in partly]
    return made


def _obstacle(finding: Finding, fix: Fix, sources: dict[str, _Source | str], taken: dict[str, list[Edit]]) -> str:
    for edit in fix.edits:
        if isinstance(source := sources[edit.path], str):
            return f"{edit.path}: {source}"
        # The checker's own comments are removed by whoever knows what else is on the line.
        if finding.rule != UNUSED and (reason := _unsure(edit, source, keeps_comments=fix.safe)):
            return reason
    if any(_collides(edit, taken[edit.path]) for edit in fix.edits):
        return "it touches lines that another fix changes"
    return ""


def _unsure(edit: Edit, source: _Source, *, keeps_comments: bool) -> str:
    """Why an edit could take more with it than it means; empty when it does not."""
    lines = source.lines
    if not 1 <= edit.first <= len(lines) + 1 or edit.last > len(lines):
        return "it points outside of the file"
    if edit.expects and (edit.first > len(lines) or _where(lines[edit.first - 1], edit.expects) is None):
        return f"line {edit.first} is not written as expected"
    if edit.within or edit.last < edit.first:
        return ""
    for node in ast.walk(source.tree):
        for one, other in _neighbours(node):
            if one.end_lineno == other.lineno and edit.first <= other.lineno <= edit.last:
                return "it would take another statement with it"
        if isinstance(node, ast.stmt) and node.lineno <= edit.last and (node.end_lineno or 0) >= edit.first:
            whole = edit.first <= node.lineno and (node.end_lineno or 0) <= edit.last
            if not whole and not _is_around(node, edit):
                return "it would take a part of a statement with it"
    is_class = any(isinstance(node, ast.ClassDef) and _covers(edit, node) for node in ast.walk(source.tree))
    lost = [text for line, text in source.comments if edit.first <= line <= edit.last and text not in edit.text]
    if lost and (keeps_comments or not is_class):
        return f"the comment {lost[0]!r} would be lost"
    return ""


def _neighbours(node: ast.AST) -> Iterable[tuple[ast.stmt, ast.stmt]]:
    """Statements of one block that follow each other."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield from pairwise(block)


def _covers(edit: Edit, node: ast.stmt) -> bool:
    return (node.lineno, node.end_lineno) == (edit.first, edit.last)


def _is_around(node: ast.stmt, edit: Edit) -> bool:
    """Whether a compound statement has the lines of an edit in one of its blocks, below its head."""
    if node.lineno >= edit.first or (node.end_lineno or 0) < edit.last:
        return False
    return any(
        each is not node and isinstance(each, ast.stmt) and edit.first <= each.lineno <= edit.last
        for each in ast.walk(node)
    )


def _where(line: str, text: str) -> int | None:
    """The column of the only place where a line has a text, as words of its own; None when it has none, or several."""
    before = r"(?<![\w.])" if text[:1].isalnum() or text[:1] in "_." else ""
    after = r"(?![\w.])" if text[-1:].isalnum() or text[-1:] in "_." else ""
    if text.startswith("from ") and not text.endswith(" import"):
        after = r"(?=[ \t]*(?:[#;\r\n]|$))"  # a whole statement: facts do not tell `X as X` from `X`
    found = [match.start() for match in re.finditer(f"{before}{re.escape(text)}{after}", line)]
    return found[0] if len(found) == 1 else None


def _largest(
    accepted: list[tuple[Finding, Fix]], sources: dict[str, _Source]
) -> tuple[list[tuple[Finding, Fix]], dict[str, tuple[_Source, str]]]:
    """The fixes after which every file parses, and the texts they lead to.

    Of a file that would not, those that break it by themselves are left out, or all of them when none does.
    """
    usable = accepted
    while True:
        edits: dict[str, dict[Edit, None]] = defaultdict(dict)
        for _, fix in usable:
            for edit in fix.edits:
                edits[edit.path][edit] = None
        texts: dict[str, tuple[_Source, str]] = {}
        broken: dict[str, set[Edit]] = {}
        for path, wanted in edits.items():
            text = _after(sources[path], wanted)
            if text is None:
                broken[path] = {edit for edit in wanted if _after(sources[path], [edit]) is None} or set(wanted)
            elif text != sources[path].text:
                texts[path] = (sources[path], text)
        if not broken:
            return usable, texts
        usable = [
            (finding, fix)
            for finding, fix in usable
            if not any(edit in broken.get(edit.path, ()) for edit in fix.edits)
        ]


def _after(source: _Source, edits: Iterable[Edit]) -> str | None:
    text = _applied(source.text, edits)
    return text if text is not None and _writable(text, source) else None


def diff_of(made: FixPlan, prefix: str = "") -> str:
    """A unified diff of what a plan would change."""
    parts = []
    for path, (source, text) in sorted(made.texts.items()):
        for line in difflib.unified_diff(
            split(source.text), split(text), f"a/{prefix}{path}", f"b/{prefix}{path}", n=3
        ):
            parts.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return "".join(parts)


def write(made: FixPlan) -> list[Refused]:
    """Write the files of a plan, each at once."""
    failed = []
    for path, (source, text) in sorted(made.texts.items()):
        data = source.bom + text.encode(source.encoding)
        try:
            _replace(source.path, data)
        except OSError as error:
            reason = error.strerror or str(error)
            failed += [
                Refused(each, f"{path} cannot be written: {reason}")
                for each in made.mended
                if each.fix is not None and any(edit.path == path for edit in each.fix.edits)
            ]
    return failed


def mend(outcome: Outcome, again: Callable[[], Outcome], *, unsafe: bool) -> tuple[str, Outcome]:
    """Apply fixes until none is left, and check again after each pass.

    Returns:
        What was done, for people; and the outcome afterwards.
    """
    mended = 0
    lines: list[str] = []
    refused: list[Refused] = []
    for _ in range(PASSES):
        made = plan(outcome, unsafe=unsafe)
        failed = write(made)
        refused = [*made.refused, *failed]
        pruned = _prune(outcome, lines)
        if not made.texts and not pruned:
            break
        lost = {id(each.finding) for each in failed}
        mended += sum(id(each) not in lost for each in made.mended)
        lines += [f"mended {outcome.path(path)}" for path in sorted(made.texts)]
        outcome = again()
        if failed:
            break
    lines = list(dict.fromkeys(lines))
    for each in refused:
        place = each.finding.place
        lines.append(f"not mended: {outcome.path(place.path)}:{place.line} {each.finding.rule}: {each.reason}")
    waiting = sum(each.fix is not None and not each.fix.safe for each in outcome.shown)
    if waiting and not unsafe:
        lines.append(f"{waiting} more can be mended with --unsafe; look at --diff --unsafe first.")
    lines.append(f"{mended} {'finding' if mended == 1 else 'findings'} mended.")
    return "\n".join(lines) + "\n\n", outcome


def _prune(outcome: Outcome, lines: list[str]) -> bool:
    """Take stale entries out of the baseline."""
    stale = [each for each in outcome.report.findings if each.rule == STALE]
    if not stale or outcome.comparison is None:
        return False
    path = outcome.report.root / stale[0].place.path
    baselines.write(path, baselines.pruned(baselines.read(path), outcome.comparison))
    lines.append(f"mended {outcome.path(stale[0].place.path)}: {len(stale)} taken out")
    return True


def _read(root: Path, path: str, file: File | None) -> _Source | str:
    """A file's text, or why it must not be changed."""
    full = root / path
    try:
        real = full.resolve(strict=True)
        data = real.read_bytes()
    except OSError as error:
        return error.strerror or "cannot be read"
    if not real.is_relative_to(root.resolve()):
        return "it is a link to a file elsewhere"
    if file is not None:
        now = extract(data)
        if (now.lines, now.digest) != (file.facts.lines, file.facts.digest):
            return "it has changed meanwhile"
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        bom = b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b""
        encoding = "utf-8" if bom else encoding
        text = data[len(bom) :].decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        return str(error)
    tree = _tree(text)
    if tree is None:
        return "it does not parse"
    lines = split(text)
    return _Source(real, text, encoding, bom, tree, lines, _comments(text))


def _tree(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _comments(text: str) -> list[tuple[int, str]]:
    tokens = tokenize.generate_tokens(io.StringIO(text, newline="").readline)
    try:
        return [(token.start[0], token.string.rstrip()) for token in tokens if token.type == tokenize.COMMENT]
    except (tokenize.TokenError, SyntaxError):
        # What the tokenizer of this Python does not read: every line may hold one.
        return [(number, line.strip()) for number, line in enumerate(split(text), 1) if "#" in line]


def _writable(text: str, source: _Source) -> bool:
    try:
        text.encode(source.encoding)
    except UnicodeEncodeError:
        return False
    return _tree(text) is not None


def _collides(edit: Edit, others: Sequence[Edit]) -> bool:
    """Whether an edit touches the lines of another. Equal ones are one; an insertion is where `last` is before `first`.

    A fix that replaces a line and one that inserts before it do not disturb each other; two insertions at one place do.
    """
    for other in others:
        if edit == other:
            continue
        inserts, other_inserts = edit.last < edit.first, other.last < other.first
        if inserts and other_inserts:
            if edit.first == other.first:
                return True
        elif inserts:
            if other.first < edit.first <= other.last:
                return True
        elif other_inserts:
            if edit.first < other.first <= edit.last:
                return True
        elif edit.first <= other.last and other.first <= edit.last:
            return True
    return False


def _applied(text: str, edits: Iterable[Edit]) -> str | None:
    """A text with its edits; None when one points outside of it."""
    lines = split(text)
    crlf = sum(line.endswith("\r\n") for line in lines) * 2 > len(lines)
    # From the end, so that line numbers stay true; at one line the replacement comes before what is inserted above it.
    for edit in sorted(edits, key=lambda each: (each.first, each.last), reverse=True):
        if edit.first < 1 or edit.first > len(lines) + 1 or edit.last > len(lines) or edit.last < edit.first - 1:
            return None
        added = edit.text.replace("\r\n", "\n")
        if crlf:
            added = added.replace("\n", "\r\n")
        if edit.within:
            line = lines[edit.first - 1]
            at = _where(line, edit.expects)
            if at is None:
                return None
            lines[edit.first - 1] = f"{line[:at]}{added}{line[at + len(edit.expects) :]}"
            continue
        if edit.first > 1 and added and not lines[edit.first - 2].endswith("\n"):
            lines[edit.first - 2] += "\r\n" if crlf else "\n"
        lines[edit.first - 1 : edit.last] = [added] if added else []
    return "".join(lines)


def _replace(path: Path, data: bytes) -> None:
    """Write a file at once, with the rights it had."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".ssot-", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        part.chmod(path.stat().st_mode & 0o7777)
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise

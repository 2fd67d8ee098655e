"""Compare what `netra check` says of missing modules, names and attributes with what ty says of the same trees.

    python benchmarks/compliance/agreement.py TREE … [--ty PATH] [--sample 20] [--seed 1]

Both ways: how many of our findings ty has as well, and how many of ty's, about names of the code base's own, we have.
What only one of them says is shown as a seeded sample, to be judged by hand; `docs/rules/precision.md` has
the figures. The packages that a tree depends on need not be installed: what comes from them is unknown to both.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from netra.compliance.check import run
from netra.compliance.config import Config
from netra.compliance.outcome import Report
from netra.compliance.rules.broken_imports import AGAIN

Kind = Literal["import", "attribute"]
RULES: dict[str, Kind] = {
    "SSOT201": "import",
    "SSOT202": "import",
    "SSOT203": "import",
    "SSOT301": "attribute",
    "SSOT302": "attribute",
    "SSOT303": "attribute",
}
TY_RULES: dict[str, Kind] = {
    "unresolved-import": "import",
    "import-not-found": "import",
    "missing-module-member": "import",
    "unresolved-attribute": "attribute",
    "missing-attribute": "attribute",
}
"""By the names that several versions of ty give them. What is missing on a part of a union only is left out: ty itself
says it with less certainty, and ours need to be sure of one class."""
LINE = re.compile(r"^(?P<path>.+?):(?P<line>\d+):\d+: (?:error|warning)\[(?P<rule>[a-z-]+)\] (?P<message>.*)$")
NEAR = 2
"""Lines between what the two report for a read within an expression of several lines."""


@dataclass(frozen=True)
class Said:
    """What one of the two says.

    Args:
        name: the attribute that is missing; empty for imports, which are told apart by their lines.
        until: last line of the statement.
    """

    kind: Kind
    path: str
    line: int
    until: int
    name: str
    message: str


def ours(report: Report) -> Iterator[Said]:
    """Our findings; of imports, the statements."""
    ends = {
        file.path: {row.line: row.end for row in file.facts.imports}
        for file in report.project.files
        if file.facts.imports
    }
    for finding in report.findings:
        path, line = finding.place.path, finding.place.line
        if RULES[finding.rule] == "import":
            # A finding stands for every statement of its file that asks for the same.
            also = [place.line for place in finding.related if place.path == path and place.note == AGAIN]
            for each in (line, *also):
                until = max(each, ends.get(path, {}).get(each, each))
                yield Said("import", path, each, until, "", f"{finding.rule} {finding.message}")
        else:
            yield Said("attribute", path, line, line, finding.subjects[-1], f"{finding.rule} {finding.message}")


def theirs(report: Report, output: str) -> Iterator[Said]:
    """What ty says about names of the code base's own."""
    tops = report.project.tops
    classes = {symbol.class_.name for symbol in report.project.classes()}
    for text in output.splitlines():
        match = LINE.match(text)
        kind = TY_RULES.get(match["rule"]) if match else None
        if match is None or kind is None:
            continue
        path = Path(match["path"])
        if path.is_absolute():
            if not path.is_relative_to(report.root):
                continue
            path = path.relative_to(report.root)
        named = re.findall(r"`([^`]*)`", match["message"])
        line, name = int(match["line"]), ""
        if kind == "import":
            head = named[0].partition(".")[0] if named else ""
            if head and head not in tops:
                continue
        else:
            name = next(
                (each for each in named if each.isidentifier() and f"attribute `{each}`" in match["message"]), ""
            )
            holder = next((each for each in named if each != name), "")
            holder = holder.removeprefix("<class '").removesuffix("'>").partition("[")[0]
            if not name or not (holder.startswith("Self@") or holder in classes):
                continue
        yield Said(kind, path.as_posix(), line, line, name, f"[{match['rule']}] {match['message']}")


def matching(said: Iterable[Said], others: Iterable[Said]) -> tuple[list[Said], list[Said]]:
    """Those of `said` that `others` say as well, and the rest."""
    by_path: dict[tuple[str, str, str], list[Said]] = defaultdict(list)
    for each in others:
        by_path[each.kind, each.path, each.name].append(each)
    both: list[Said] = []
    alone: list[Said] = []
    for each in said:
        near = 0 if each.kind == "import" else NEAR
        found = any(
            other.line - near <= each.until and each.line <= other.until + near
            for other in by_path[each.kind, each.path, each.name]
        )
        (both if found else alone).append(each)
    return both, alone


def show(title: str, alone: list[tuple[Path, Said]], count: int, seed: int) -> None:
    """A seeded sample, with the source of each line."""
    alone.sort(key=lambda each: (str(each[0]), each[1].path, each[1].line, each[1].message))
    print(f"\n{title}: {min(count, len(alone))} of {len(alone)}, seed {seed}")
    for root, said in random.Random(seed).sample(alone, min(count, len(alone))):
        lines = (root / said.path).read_text("utf-8", "replace").splitlines()
        print(f"  {root.name}/{said.path}:{said.line} {said.message[:200]}")
        print(f"      {lines[said.line - 1].strip()[:140] if said.line <= len(lines) else ''}")


def main() -> None:
    """Compare the two on every tree, and print the counts and the samples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trees", nargs="+", type=Path)
    parser.add_argument("--ty", default="ty")
    parser.add_argument("--sample", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    counts: Counter[tuple[Kind, str]] = Counter()
    only_ours: dict[Kind, list[tuple[Path, Said]]] = {"import": [], "attribute": []}
    only_theirs: dict[Kind, list[tuple[Path, Said]]] = {"import": [], "attribute": []}
    for tree in options.trees:
        report = run(tree.resolve(), Config(select=tuple(RULES)))
        command = [options.ty, "check", "--project", str(report.root), "--output-format", "concise", "--exit-zero"]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        mine, others = list(ours(report)), list(theirs(report, output))
        for kind in only_ours:
            ours_both, ours_alone = matching([each for each in mine if each.kind == kind], others)
            theirs_both, theirs_alone = matching([each for each in others if each.kind == kind], mine)
            only_ours[kind] += [(report.root, each) for each in ours_alone]
            only_theirs[kind] += [(report.root, each) for each in theirs_alone]
            row = (len(ours_both), len(ours_alone), len(theirs_both), len(theirs_alone))
            print(tree.name, kind, "ours: {} both, {} alone; ty: {} both, {} alone".format(*row), flush=True)
            for what, number in zip(("ours both", "ours alone", "ty both", "ty alone"), row, strict=True):
                counts[kind, what] += number
    print()
    for (kind, what), number in sorted(counts.items()):
        print(f"{kind} {what}: {number}")
    for kind, alone in only_ours.items():
        show(f"{kind}, only we", alone, options.sample, options.seed)
    for kind, alone in only_theirs.items():
        show(f"{kind}, only ty", alone, options.sample, options.seed)


if __name__ == "__main__":
    main()

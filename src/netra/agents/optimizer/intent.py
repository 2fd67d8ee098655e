"""What a message wants, read with rules. Called by `agent`; the same message always gives the same intent.

Rules are enough here because the optimizer does few things: analyse, price as a model, map columns, skip bad lines,
explain itself. Anything else is a free question, which needs a language model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from netra.agents.optimizer.mapping import parse_corrections
from netra.agents.optimizer.records import Role

__all__ = ["Intent", "understand"]


@dataclass(frozen=True, slots=True)
class Intent:
    """What the message asks for.

    Attributes:
        analyse: a report is wanted.
        price_as: a model that the message names, as the price list knows it.
        unknown_model: a model it asks for by name that has no price.
        said: role to column name.
        skip_bad: leave bad lines out.
        sample: wants the sample file.
        help: wants to know what the optimizer can do.
    """

    analyse: bool = False
    price_as: str | None = None
    unknown_model: str | None = None
    said: dict[Role, str] = field(default_factory=dict)
    skip_bad: bool = False
    sample: bool = False
    help: bool = False

    @property
    def free(self) -> bool:
        """None of the things that are understood without a language model."""
        return not (
            self.analyse
            or self.price_as
            or self.unknown_model
            or self.said
            or self.skip_bad
            or self.sample
            or self.help
        )


_ANALYSE = re.compile(
    r"\b(spend|spending|spent|costs?|cut|savings?|saved?|reduce|reduction|cheaper|expensive|optimi[sz]e|optimi[sz]ation|"
    r"analy[sz]e|analysis|report|bill|billing|invoice|budget|money|usage|where does|breakdown|summar(?:y|i[sz]e)|"
    r"overview|price (?:it|this|them)|go ahead|look at|check)\b",
    re.IGNORECASE,
)
_HELP = re.compile(
    r"^\s*(help|hi|hello|hey|what can you do|who are you|how does this work)\b|\bwhat can you do\b", re.I
)
_SKIP = re.compile(
    r"\b(skip|ignore|drop|leave out|without)\b[^.]{0,30}\b(bad|broken|wrong|invalid|those|these|the)\b[^.]{0,10}"
    r"\b(lines?|rows?)\b",
    re.I,
)
_SAMPLE = re.compile(r"\b(sample|demo|example)\b[^.]{0,20}\b(file|data|usage)\b", re.I)
_PRICE_AS = re.compile(
    r"\bprice[ds]?\s+(?:(?:it|this|them|everything|all|the file|those|these)\s+)?(?:as|like|with|using|at)\s+(.+)", re.I
)
_ABOUT_MODEL = re.compile(
    r"\b(?:it was|it is|it's|we used?|all|model is|model:|on|use|using|with|as|for|at)\s+([\w./:@-]+(?: [\w.-]+){0,3})",
    re.I,
)
_WORD = re.compile(r"[A-Za-z][\w./:@-]*\d?[\w./:@-]*")


def understand(
    text: str,
    *,
    columns: Sequence[str],
    choices: Sequence[str],
    find_model: Callable[[str], object | None],
    has_files: bool,
) -> Intent:
    """The intent of a message.

    Args:
        text: the message.
        columns: column names of the files at hand.
        choices: models that the previous answer offered, by number from 1.
        find_model: what the price list knows under a name, None for nothing.
        has_files: files are at hand, so a bare message means: look at them.
    """
    stripped = text.strip()
    said = parse_corrections(stripped, columns)
    if (
        choices
        and (number := re.fullmatch(r"(?:number |option |no\.? ?|#)?(\d{1,2})[.)]?", stripped, re.I))
        and 1 <= int(number[1]) <= len(choices)
    ):
        return Intent(analyse=True, price_as=choices[int(number[1]) - 1])
    price_as, unknown = _model(stripped, find_model, bool(choices))
    return Intent(
        analyse=bool(_ANALYSE.search(stripped)) or (has_files and not stripped),
        price_as=price_as,
        unknown_model=unknown if price_as is None else None,
        said=said,
        skip_bad=bool(_SKIP.search(stripped)),
        sample=bool(_SAMPLE.search(stripped)),
        help=bool(_HELP.search(stripped)),
    )


def _trim(words: str) -> str:
    return words.strip(" \t\"'`*.,;:!?()[]")


def _longest(words: str, find_model: Callable[[str], object | None]) -> str | None:
    """The model with which `words` begin: of all beginnings the longest that is one, as short as it can be written."""
    parts = re.split(r"[,;!?\n()]", words)[0].split()[:5]
    best: str | None = None
    found: object | None = None
    for count in range(1, len(parts) + 1):
        for candidate in (_trim(" ".join(parts[:count])), _trim("-".join(parts[:count])).lower()):
            model = find_model(candidate) if candidate else None
            if model is not None and model != found:
                best, found = candidate, model
                break
    return best


def _model(text: str, find_model: Callable[[str], object | None], asked: bool) -> tuple[str | None, str | None]:
    if found := _PRICE_AS.search(text):
        model = _longest(found[1], find_model)
        named = _trim(found[1].split()[0]) if found[1].split() else ""
        return (model, None) if model else (None, named or None)
    for each in _ABOUT_MODEL.finditer(text):
        if model := _longest(each[1], find_model):
            return model, None
    for word in _WORD.findall(text):
        # A name with a digit, such as gpt-4o; words such as "command" are models too, but not when one talks.
        if any(character.isdigit() for character in word) and find_model(_trim(word)):
            return _trim(word), None
    if asked and len(text.split()) <= 4:
        model = _longest(text, find_model)
        return (model, None) if model else (None, _trim(text) or None)
    return None, None

"""Which model is the next smaller one of the same family. Used by `savings`; a test checks that every name here is one
that genai-prices knows and that each step down is cheaper.

The table is written by hand because a family is a statement of the maker, not something a name or a price shows.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["NEXT_SMALLER", "next_smaller"]

_OPENAI = {
    "gpt-4o": "gpt-4o-mini",
    "gpt-4.1": "gpt-4.1-mini",
    "gpt-4.1-mini": "gpt-4.1-nano",
    "gpt-5": "gpt-5-mini",
    "gpt-5.1": "gpt-5-mini",
    "gpt-5-mini": "gpt-5-nano",
    "gpt-5-pro": "gpt-5",
    "gpt-5.2-pro": "gpt-5.2",
    "gpt-5.4-pro": "gpt-5.4",
    "gpt-5.4": "gpt-5.4-mini",
    "gpt-5.4-mini": "gpt-5.4-nano",
    "gpt-5.5-pro": "gpt-5.5",
    "gpt-5.6-sol": "gpt-5.6-terra",
    "gpt-5.6-terra": "gpt-5.6-luna",
    "gpt-6-astra": "gpt-6-sol",
    "gpt-6-sol": "gpt-6-luna",
    "gpt-6.1-sol": "gpt-6.1-terra",
    "o1-pro": "o1",
    "o1": "o1-mini",
    "o3-pro": "o3",
    "o3": "o3-mini",
}
_ANTHROPIC = {
    "claude-3-opus-latest": "claude-3-sonnet",
    "claude-3-sonnet": "claude-3-haiku",
    "claude-3-5-sonnet": "claude-3-5-haiku-latest",
    "claude-3-7-sonnet-latest": "claude-3-5-haiku-latest",
    "claude-opus-4-0": "claude-sonnet-4-0",
    "claude-opus-4-1": "claude-sonnet-4-0",
    "claude-opus-4-5": "claude-sonnet-4-5",
    "claude-opus-4-6": "claude-sonnet-4-6",
    "claude-opus-4-7": "claude-sonnet-4-6",
    "claude-opus-4-8": "claude-sonnet-4-6",
    "claude-sonnet-4-0": "claude-haiku-4-5",
    "claude-sonnet-4-5": "claude-haiku-4-5",
    "claude-sonnet-4-6": "claude-haiku-4-5",
    "claude-fable-5": "claude-opus-5",
    "claude-opus-5": "claude-sonnet-5",
    "claude-fable-5-2": "claude-opus-5-5",
    "claude-opus-5-5": "claude-sonnet-5-5",
    "claude-sonnet-5-5": "claude-haiku-5-5",
}
_GOOGLE = {
    "gemini-1.5-pro": "gemini-1.5-flash",
    "gemini-2.0-flash": "gemini-2.0-flash-lite",
    "gemini-2.5-pro": "gemini-2.5-flash",
    "gemini-2.5-flash": "gemini-2.5-flash-lite",
    "gemini-3.1-pro-preview": "gemini-3.1-flash-lite",
    "gemini-3.5-flash": "gemini-3.5-flash-lite",
}
_MISTRAL = {
    "mistral-large-2512": "mistral-small-latest",
    "mistral-large": "mistral-small-latest",
    "mistral-medium-latest": "mistral-small-latest",
}

NEXT_SMALLER: Mapping[str, Mapping[str, str]] = {
    "openai": _OPENAI,
    "anthropic": _ANTHROPIC,
    "google": _GOOGLE,
    "mistral": _MISTRAL,
}
"""Owner of the price list (a provider id of genai-prices) to model id to the id of the next smaller model."""


def next_smaller(provider_id: str, model_id: str) -> str | None:
    """The next smaller model of the same family in the same price list, if there is one."""
    return NEXT_SMALLER.get(provider_id, {}).get(model_id)

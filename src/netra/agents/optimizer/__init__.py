"""Netra's built-in agent: where AI spend goes, and how to cut it, from usage files. Registered as
`netra.agents.optimizer:optimizer`; needs no language model and no network. Importing it loads none of DuckDB,
genai-prices and pydantic-ai: they are imported when a message is answered.
"""

from __future__ import annotations

from pathlib import Path

from netra.agents.optimizer.agent import NetraOptimizer
from netra.agents.spec import AgentSpec

__all__ = ["NetraOptimizer", "build_optimizer", "optimizer"]


def build_optimizer(
    model: str | None = None, base_url: str | None = None, api_key: str | None = None
) -> NetraOptimizer:
    """The agent with a language model for free questions; see `NetraOptimizer`."""
    return NetraOptimizer(model, base_url, api_key)


def _write_sample(path: Path) -> object:
    from netra.agents.optimizer.sample import write_sample

    return write_sample(path)


optimizer = AgentSpec(
    name=NetraOptimizer.name,
    target=NetraOptimizer(),
    title=NetraOptimizer.title,
    description=NetraOptimizer.description,
    examples=NetraOptimizer.examples,
    accepts=NetraOptimizer.accepts,
    sample=_write_sample,
)

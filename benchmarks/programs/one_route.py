"""The least that somebody with FastAPI starts: the peer of `benchmarks/start.py`."""

from __future__ import annotations

from fastapi import FastAPI

app = FastAPI()


@app.get("/health/ready")
async def ready() -> dict[str, str]:
    """That it answers."""
    return {"status": "ok"}

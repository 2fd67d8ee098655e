"""Answers that are structs of `netra.events`: told to OpenAPI as they are, so that nobody writes them down again."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Response
from msgspec import Struct


def declared(struct: type[Struct]) -> dict[str, Any]:
    """What OpenAPI says of an answer that is a struct. What it refers to stands in place: documents share no parts."""
    _, parts = msgspec.json.schema_components([struct], ref_template="{name}")

    def in_place(schema: Any) -> Any:
        if isinstance(schema, dict):
            if "$ref" in schema:
                return in_place(parts[schema["$ref"]])
            return {key: in_place(value) for key, value in schema.items()}
        return [in_place(each) for each in schema] if isinstance(schema, list) else schema

    return {"content": {"application/json": {"schema": in_place(parts[struct.__name__])}}}


def answer(struct: Struct) -> Response:
    """The response that carries a struct."""
    return Response(msgspec.json.encode(struct), media_type="application/json")

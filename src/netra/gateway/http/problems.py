"""Every error of the HTTP API as a problem document (RFC 9457), in one form, and its declaration in OpenAPI.

A problem says what to do next and carries a stable `code` and the request's id. It never carries what the client sent,
a traceback, a path or a version.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from netra.errors import CircuitOpen, InvalidInput, NetraError, RateLimited, Unavailable
from netra.monitoring.logs import request_id

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
NOTHING_HERE = "There is nothing at this address."
FAILED = "The server failed at this; the failure is logged."
FIELD_CHARS = 100
RETRY_SECONDS = 1
"""What `Retry-After` says when the server cannot know better."""

_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "body_timeout",
    413: "too_large",
    415: "unsupported_media",
}
_TEXTS = {404: NOTHING_HERE, 405: "This address does not take this method."}

_DESCRIPTIONS = {
    400: "Not a request this server understands",
    401: "No credentials, or they are not valid (any more)",
    403: "Known, and not allowed",
    404: "Does not exist, or belongs to somebody else",
    408: "The body did not arrive in time",
    409: "The state has moved on",
    413: "Too large",
    415: "A kind of content that is not taken",
    422: "A field is missing or wrong; `field` says which",
    429: "Too many; `Retry-After` says when to come back",
    503: "Try again in a moment; nothing was lost",
}


class FieldProblem(BaseModel):
    """One field that is wrong."""

    field: str
    message: str


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="A URI of the kind of problem; about:blank, `code` says more.")
    title: str = Field(description="The status in words.")
    status: int
    code: str = Field(description="Stable, for programs.")
    detail: str = Field(description="For people.")
    hint: str | None = Field(None, description="What to do next.")
    field: str | None = Field(None, description="The field that is wrong, with dots for nesting.")
    errors: list[FieldProblem] | None = Field(None, description="Every field that is wrong.")
    retry_after_seconds: float | None = None
    request_id: str | None = Field(None, description="Names this request in the server's log.")


def problem_body(error: NetraError) -> dict[str, Any]:
    """The problem document of an error, as JSON values."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "code": error.code,
        # A failure of ours is not the client's to read: its message may name paths or settings.
        "detail": FAILED if _ours(error) else error.message,
    }
    if not _ours(error):
        if error.hint:
            body["hint"] = error.hint
        body.update({name: value for name, value in error.details.items() if name not in body})
    body["request_id"] = request_id.get()
    return body


def problem_response(error: NetraError) -> Response:
    """The answer that carries an error."""
    if _ours(error):
        log.error("request failed", code=error.code, exc_info=error)
    return _response(problem_body(error), _headers(error))


def _ours(error: NetraError) -> bool:
    return error.status >= 500 and not isinstance(error, Unavailable | CircuitOpen)


def _headers(error: NetraError) -> dict[str, str]:
    if isinstance(error, RateLimited | CircuitOpen):
        return {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
    if error.status in (429, 503):
        return {"Retry-After": str(RETRY_SECONDS)}
    if error.status == 401:
        return {"WWW-Authenticate": 'Bearer realm="netra"'}
    return {}


def _response(body: dict[str, Any], headers: dict[str, str]) -> Response:
    return Response(
        msgspec.json.encode(body),
        status_code=body["status"],
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **headers},
    )


def install_problems(app: FastAPI) -> None:
    """Answer errors of this application with problem documents, and declare their form in its OpenAPI.

    What is no NetraError and no HTTPException is left to the outermost door, `netra.gateway.http.guard`.
    """
    app.add_exception_handler(NetraError, _on_netra_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)

    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.update({"Problem": schema, **schema.pop("$defs", {})})
        # FastAPI declares errors of parameters in a form of its own, which this server never sends.
        if schemas.pop("HTTPValidationError", None) is not None:
            schemas.pop("ValidationError", None)
            for operations in document["paths"].values():
                for operation in operations.values():
                    if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                        operation["responses"]["422"] = problems(422)[422]
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents for extending it


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that answers with these problems; 503 is any route's."""
    declared: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*statuses, 503}):
        declared[status] = {
            "description": _DESCRIPTIONS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        if status in (429, 503):
            retry = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
            declared[status]["headers"] = {"Retry-After": retry}
        elif status == 401:
            declared[status]["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return declared


async def _on_netra_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, NetraError)
    return problem_response(error)


async def _on_invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [(_field(each["loc"]), str(each["msg"])) for each in error.errors()]
    if not found:
        return problem_response(InvalidInput("The request is not valid."))
    field, message = found[0]
    detail = f"{field}: {message}." if field else f"{message}."
    errors = [{"field": name, "message": text} for name, text in found if name][:20]
    details: dict[str, Any] = {"errors": errors} if errors else {}
    return problem_response(InvalidInput(detail, field=field or None, **details))


def _field(location: tuple[int | str, ...]) -> str:
    # The first part says where: body, query, path. Names a client made up come back printable and short.
    name = ".".join(str(part) for part in location[1:])
    name = name.encode("utf-8", "replace").decode()
    return "".join(character if character.isprintable() else "?" for character in name)[:FIELD_CHARS]


async def _on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, NetraError):  # FastAPI wraps what a body's parser raises
        return problem_response(error.__cause__)
    status = error.status_code
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": _CODES.get(status, "http_error"),
        "detail": _TEXTS.get(status, str(error.detail)),
        "request_id": request_id.get(),
    }
    return _response(body, dict(error.headers or {}))

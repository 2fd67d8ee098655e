"""The web page: static files built into `netra/_ui`, with the headers that keep a page safe and a cache useful."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.responses import FileResponse

from netra.errors import NotFound

DIRECTORY = Path(__file__).parents[2] / "_ui"

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; "
    "require-trusted-types-for 'script'; trusted-types dompurify"
)

_MISSING = """<!doctype html><meta charset="utf-8"><title>Netra</title><h1>The page was not built</h1>
<p>This installation answers the API only. Install Netra again without NETRA_UI_BUILD=0 to get the page.</p>"""


def page_routes(directory: Path = DIRECTORY) -> APIRouter:
    """Routes for the page's files, and the page itself for every other path without a dot."""
    router = APIRouter(include_in_schema=False)
    root = directory.resolve()

    @router.api_route("/assets/{path:path}", methods=["GET", "HEAD"])
    async def asset(request: Request, path: str) -> Response:
        return _file(request, root, f"assets/{path}", "public, max-age=31536000, immutable")

    @router.api_route("/{path:path}", methods=["GET", "HEAD"])
    async def page(request: Request, path: str) -> Response:
        last = path.rpartition("/")[2]
        if path.startswith(("api/", "v1/")) or path in ("api", "ws"):
            raise NotFound("There is nothing at this address.")
        if "." in last:
            return _file(request, root, path, "no-cache")
        if not (root / "index.html").is_file():
            return Response(_MISSING, media_type="text/html", status_code=200)
        return _file(request, root, "index.html", "no-cache")

    return router


def _file(request: Request, root: Path, name: str, cache: str) -> Response:
    missing = NotFound("There is nothing at this address.")
    if "\0" in name or "\\" in name:
        raise missing
    hidden = any(part.startswith(".") for part in Path(name).parts)
    try:
        path = (root / name).resolve()
        found = path.is_relative_to(root) and path.is_file()
    except OSError:  # a name longer than any file's
        raise missing from None
    if hidden or not found:
        raise missing
    headers = {"Cache-Control": cache, "Vary": "Accept-Encoding"}
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    packed = path.with_name(path.name + ".gz")
    if "gzip" in request.headers.get("accept-encoding", "") and packed.is_file():
        return FileResponse(packed, media_type=media_type, headers={**headers, "Content-Encoding": "gzip"})
    return FileResponse(path, media_type=media_type, headers=headers)

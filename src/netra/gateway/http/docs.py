"""`/api/docs`: the API's reference, as a page to try it from. Swagger UI comes from a wheel: no internet is needed."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, Response

from netra.errors import NotFound

# Swagger UI sets styles from its script and carries its icons as data URLs; nothing else is let off.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Netra API</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/api/docs/swagger-ui.css">
</head>
<body>
<main id="reference"></main>
<script src="/api/docs/swagger-ui-bundle.js"></script>
<script src="/api/docs/start.js"></script>
</body>
</html>
"""

_START = """SwaggerUIBundle({ url: "/api/openapi.json", dom_id: "#reference", deepLinking: true });
"""

_MEDIA_TYPES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}


def docs_routes() -> APIRouter:
    """The page and its files."""
    router = APIRouter(prefix="/api/docs", include_in_schema=False)

    @router.get("")
    async def page() -> Response:
        return Response(_PAGE, media_type="text/html", headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})

    @router.get("/start.js")
    async def start() -> Response:
        return Response(_START, media_type="text/javascript")

    @router.get("/{name}")
    def resource(name: str) -> Response:
        if name not in _MEDIA_TYPES:
            raise NotFound("There is nothing at this address.")
        body = files("fastapi_swagger").joinpath("resources", name).read_bytes()
        return Response(body, media_type=_MEDIA_TYPES[name], headers={"Cache-Control": "public, max-age=86400"})

    return router

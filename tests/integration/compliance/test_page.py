"""The page in a browser: complete, quiet, readable on a phone, and it asks nobody for anything."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from support.browser import Console, accessibility_violations, chromium
from support.checking import TWINS, netra
from support.code_base import write

NASTY = {
    "shop/nasty.py": "from shop import orders\n",
    "shop/a<b>&\"c'.py": "from shop.gone import x\n",
    "shop/shims.py": "from shop.orders import SessionMetrics\n",
    "shop/other.py": "from shop.shims import SessionMetrics\n",
}
pytestmark = pytest.mark.skipif(chromium() is None, reason="there is no Chromium")


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shop")
    write(root, {**TWINS, **NASTY})
    for _ in range(2):
        done = netra("check", "--format", "html", "--output", "page.html", "--history", "h.jsonl", cwd=root)
        assert done.returncode == 1, done.stderr
    return root / "page.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_complete_and_quiet(browser: Browser, page_file: Path, width: int, scheme: str) -> None:
    console = Console()
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    console.watch(context)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.goto(page_file.as_uri())
    titles = ["What to mend first", "Trend", "Twins", "Import paths", "Layers", "Rules", "All findings"]
    assert page.locator("h2").all_text_contents() == titles
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert re.fullmatch(r"\d+\.\d", page.get_by_label("Score", exact=True).inner_text())
    family = page.locator("#twins details").first
    assert "operations_count" in family.inner_text()
    assert "a<b>&" in page.locator("#findings").inner_text()
    assert page.locator("svg.layers rect").count() >= 4
    assert page.locator("svg.trend circle").count() == 2
    assert accessibility_violations(page) == []
    assert console.unexpected == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    context.close()


def test_the_page_has_no_script_and_names_no_host(page_file: Path) -> None:
    html = page_file.read_text("utf-8")
    assert not re.search(r"<script|<iframe|\son\w+=|@import|url\((?!#)", html)
    assert not re.search(r"https?://", html)

"""The administrators' dashboard as they use it: every panel clean, by keyboard alone, live on two screens, honest when
the server is gone, and nothing of it for anybody else. One server serves all tests; each has users of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from support.accounts import PASSWORD, Account, register, set_up_admin, sign_in
from support.browser import Console, accessibility_violations
from support.chat_page import ChatPage
from support.server import ServerProcess

AGENTS = tuple(
    f"support.agents:{name}" for name in ("echo", "endless", "approving", "broken", "tools", "holding", "calling")
)
ENVIRONMENT = {
    "NETRA_ALLOW_REGISTRATION": "true",
    # One failed run is an incident of its thread, at the next reading.
    "NETRA_ALERT_RULES": json.dumps({"thread_failures": {"severity": "critical", "fires_at": 1, "resolves_at": 0}}),
    "NETRA_BREAKER_FAILURES": "20",  # more than anything here fails by accident
    "NETRA_DRAIN_SECONDS": "0",  # nobody waits for the end of what never ends
}
PANELS = ("", "/executions", "/sessions", "/alerts", "/users", "/compliance", "/audit")
OpenPage = Callable[..., ChatPage]


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server for administrators to look at."""
    with ServerProcess(tmp_path_factory.mktemp("ops"), agents=AGENTS, environment=ENVIRONMENT) as process:
        yield process


@pytest.fixture(scope="session")
def operator(watched: ServerProcess) -> Account:
    """Its administrator."""
    return set_up_admin(watched)


@pytest.fixture
def colleague(operator: Account) -> Account:
    """Another administrator of the test's own."""
    with operator.client() as client:
        number = len(client.get("/api/admin/users").raise_for_status().json()["items"])
        body = {"email": f"colleague{number}@example.com", "admin": True}
        made = client.post("/api/admin/users", json=body).raise_for_status().json()
    return sign_in(operator.base_url, body["email"], made["password"])


@pytest.fixture
def visitor(operator: Account) -> Account:
    """An ordinary user of the test's own."""
    return register(operator.base_url)


def ask(who: Account, agent: str) -> dict[str, Any]:
    """Start a run of an agent; its ids."""
    with who.client() as client:
        answer = client.post("/api/messages", json={"id": f"for-{agent}", "content": "Hello", "agent": agent})
    return dict(answer.raise_for_status().json())


def traffic(who: Account) -> str:
    """Runs that go on, wait, and fail; the thread of the one that failed."""
    for agent in ("endless", "approving"):
        ask(who, agent)
    return incident(register(who.base_url))


def incident(who: Account) -> str:
    """A thread with a critical incident that begins at the next reading."""
    return str(ask(who, "broken")["thread_id"])


def row(page: Page, text: str) -> Locator:
    """A row of a table, or an item of the open alerts."""
    return page.get_by_role("row").or_(page.get_by_role("listitem")).filter(has_text=text)


def show(page: Page, base_url: str, panel: str) -> None:
    """Open a panel, and wait until it has asked for what it shows."""
    page.goto(f"{base_url}/ops{panel}")
    expect(page.get_by_role("heading", name="Operations", level=1)).to_be_visible()
    expect(page.get_by_text("updated now")).to_be_visible()
    expect(page.get_by_text("Loading")).to_have_count(0)
    expect(page.locator(".skeleton")).to_have_count(0)


def panels(page: Page, operator: Account, visitor: Account) -> Iterator[str]:
    """Lead through every panel, page and dialog; the name of each is given when it stands."""
    thread = traffic(visitor)
    with operator.client() as client:
        client.post("/api/tokens", json={"name": "A program"}).raise_for_status()
        client.post(
            "/api/admin/silences", json={"rule": "disk_space", "minutes": 5, "note": "a test"}
        ).raise_for_status()
    base = operator.base_url
    for panel in PANELS:
        show(page, base, panel)
        if panel == "":
            expect(page.get_by_role("figure", name="Executions", exact=True).get_by_role("img")).to_be_visible()
            page.get_by_role("button", name="Executions: view as table", exact=True).click()
            expect(page.get_by_role("region", name="Executions, as a table")).to_be_visible()
        if panel == "/alerts":
            expect(row(page, f"thread_failures of {thread}")).to_be_visible()
        yield panel or "overview"
        if panel == "/executions":
            page.get_by_role("button", name=re.compile("^Stop ")).first.click()
            expect(page.get_by_role("dialog", name="Stop this execution?")).to_be_visible()
            yield "stop"
            page.keyboard.press("Escape")
            row(page, "Endless").get_by_role("link").first.click()
            expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
            expect(page.get_by_text(re.compile("Heartbeat in the last"))).to_be_visible()
            page.locator("summary").first.click()
            yield "an execution"
        if panel == "/alerts":
            page.get_by_role("button", name=f"Silence thread_failures {thread}").click()
            expect(page.get_by_role("dialog", name="Silence this alert?")).to_be_visible()
            yield "silence"
        if panel == "/users":
            page.get_by_role("button", name="New user").click()
            expect(page.get_by_role("dialog", name="New user")).to_be_visible()
            yield "new user"
            page.keyboard.press("Escape")
            page.get_by_role("link", name=operator.email).click()
            expect(page.get_by_role("button", name="Revoke A program").first).to_be_visible()
            yield "a user"


@pytest.mark.timeout(180)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_any_panel(open_chat: OpenPage, operator: Account, visitor: Account, theme: str) -> None:
    page = open_chat(operator, "/ops", color_scheme=theme, reduced_motion="reduce").page
    found = {name: each for name in panels(page, operator, visitor) if (each := accessibility_violations(page))}
    assert not found, "\n".join(f"{panel}: {each}" for panel, all_ in found.items() for each in all_)


@pytest.mark.timeout(120)
def test_no_panel_scrolls_sideways_at_390_pixels(open_chat: OpenPage, operator: Account, visitor: Account) -> None:
    page = open_chat(operator, "/ops", size=(390, 844), has_touch=True, is_mobile=True, reduced_motion="reduce").page
    wide = {}
    for name in panels(page, operator, visitor):
        if (width := page.evaluate("document.documentElement.scrollWidth")) > 390:
            wide[name] = width
    assert not wide


def tab_to(page: Page, target: Locator, *, back: bool = False) -> None:
    """Press Tab until `target` has the focus."""
    for _ in range(120):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Shift+Tab" if back else "Tab")
    raise AssertionError(f"{target} cannot be reached with Tab")


@pytest.mark.timeout(120)
def test_an_administrator_needs_no_mouse(open_chat: OpenPage, operator: Account, visitor: Account) -> None:
    thread = traffic(visitor)
    page = open_chat(operator, "/ops").page
    keys = page.keyboard
    expect(page.get_by_text("updated now")).to_be_visible()

    # Another panel, and a filter that stays in the address.
    tab_to(page, page.get_by_role("navigation", name="Panels").get_by_role("link", name="Executions"))
    keys.press("Enter")
    expect(page).to_have_url(re.compile("/ops/executions$"))
    expect(row(page, "Endless").first).to_be_visible()
    tab_to(page, page.get_by_label("Agent", exact=True))
    keys.type("Endless")
    expect(page).to_have_url(re.compile(r"\?agent=endless$"))
    expect(page.get_by_role("group", name="Executions").get_by_text("Approving")).to_have_count(0)

    # One execution and back: the filter is still there, and the focus is in what is shown.
    user = visitor.id[-6:]
    mine = row(page, user).filter(has_text="running")
    tab_to(page, mine.get_by_role("link").first)
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Execution", exact=True)).to_be_focused()
    tab_to(page, page.get_by_role("button", name="Back to executions"))
    keys.press("Enter")
    expect(page).to_have_url(re.compile(r"/executions\?agent=endless$"))
    expect(page.get_by_role("heading", name="Executions", exact=True)).to_be_focused()

    # Stop it; Escape leaves it alone first.
    stop = mine.get_by_role("button", name=re.compile("^Stop "))
    tab_to(page, stop)
    keys.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("button", name="Stop it")).to_be_focused()
    keys.press("Escape")
    expect(stop).to_be_focused()
    keys.press("Enter")
    keys.press("Enter")
    expect(page.get_by_text("The execution was asked to stop.")).to_be_visible()
    expect(row(page, user).filter(has_text="cancelled")).to_be_visible()
    expect(page.get_by_role("group", name="Executions")).to_be_focused()

    # Acknowledge an alert, then silence it.
    tab_to(
        page, page.get_by_role("navigation", name="Panels").get_by_role("link", name=re.compile("^Alerts")), back=True
    )
    keys.press("Enter")
    alert = page.get_by_role("listitem").filter(has_text=f"thread_failures of {thread}")
    tab_to(page, alert.get_by_role("button", name=re.compile("^Acknowledge ")))
    keys.press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Note")).to_be_focused()
    keys.type("I look at it")
    keys.press("Enter")
    expect(alert).to_contain_text(f"Acknowledged by {operator.email}: I look at it")
    tab_to(page, alert.get_by_role("button", name=re.compile("^Silence ")))
    keys.press("Enter")
    expect(page.get_by_role("dialog").get_by_label("For")).to_be_focused()
    keys.type("15")
    keys.press("Tab")
    keys.type("Known since today")
    keys.press("Enter")
    expect(row(page, "Known since today")).to_be_visible()
    expect(alert).to_contain_text("silenced until")


@pytest.mark.timeout(120)
def test_two_administrators_see_the_same_change(
    open_chat: OpenPage, operator: Account, colleague: Account, visitor: Account
) -> None:
    thread = traffic(visitor)
    one, other = (open_chat(who, "/ops/executions").page for who in (operator, colleague))
    user = visitor.id[-6:]
    for page in (one, other):
        expect(row(page, user).filter(has_text="running")).to_be_visible()
    row(one, user).filter(has_text="running").get_by_role("button", name=re.compile("^Stop ")).click()
    one.get_by_role("button", name="Stop it").click()
    for page in (one, other):
        expect(row(page, user).filter(has_text="cancelled")).to_be_visible(timeout=5000)
        page.get_by_role("link", name=re.compile("^Alerts")).click()
        expect(row(page, f"thread_failures of {thread}")).to_be_visible()
    row(other, thread).get_by_role("button", name=re.compile("^Acknowledge ")).click()
    other.get_by_role("button", name="Acknowledge", exact=True).last.click()
    expect(row(one, f"thread_failures of {thread}")).to_contain_text(f"Acknowledged by {colleague.email}")


@pytest.mark.timeout(120)
def test_a_new_critical_alert_is_told_once_and_stands_above_the_panels_until_somebody_has_it(
    open_chat: OpenPage, operator: Account, colleague: Account, visitor: Account
) -> None:
    old = incident(register(operator.base_url))
    chat = open_chat(colleague, "/ops/alerts")
    expect(row(chat.page, f"thread_failures of {old}")).to_be_visible()
    theirs = open_chat(visitor)
    asked: list[str] = []
    theirs.page.on("request", lambda request: asked.append(request.url))
    told = chat.page.get_by_text(re.compile("^Critical: "))
    with chat.page.expect_response(re.compile(r"/api/admin/alerts\?limit=1$")):
        chat.page.goto(f"{operator.base_url}/chat")  # what is open by now is old
    thread = incident(visitor)
    expect(told).to_contain_text(thread)
    expect(told).to_have_count(1)
    expect(theirs.page.get_by_text("Critical")).to_have_count(0)
    assert not [url for url in asked if "/api/admin" in url or "/assets/" in url]

    with chat.page.expect_response(re.compile(r"/api/admin/alerts\?limit=1$")):
        chat.page.reload()
    expect(chat.composer).to_be_visible()
    expect(told).to_have_count(0)

    chat.page.goto(f"{operator.base_url}/ops")
    banner = chat.page.get_by_role("main").get_by_role("status").filter(has_text="Critical:")
    expect(banner).to_be_visible()
    with operator.client() as client:
        for each in client.get("/api/admin/alerts").json()["open"]:
            client.post(f"/api/admin/alerts/{each['id']}/acknowledge", json={}).raise_for_status()
    expect(banner).to_have_count(0)
    expect(chat.page.get_by_role("link", name=re.compile("^Alerts"))).to_contain_text(re.compile(r"\d open"))


def test_others_are_sent_away_without_loading_any_of_it(
    new_context: Callable[..., BrowserContext], sign_in_context: Callable[..., None], visitor: Account
) -> None:
    context = new_context()
    sign_in_context(context, visitor)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(visitor.base_url)))
    page.goto(f"{visitor.base_url}/ops/executions")
    expect(page).to_have_url(f"{visitor.base_url}/chat")
    expect(ChatPage(page).composer).to_be_visible()
    assert any(path.startswith("/assets/index") for path in asked)
    assert not [path for path in asked if path.startswith("/api/admin") or re.match("/assets/(Ops|Watch)", path)]


def test_the_filters_and_the_live_switch_stay_in_the_address(
    open_chat: OpenPage, operator: Account, visitor: Account
) -> None:
    ask(visitor, "echo")
    page = open_chat(operator, f"/ops/executions?user={visitor.id}").page
    table = page.get_by_role("group", name="Executions")
    expect(table.get_by_role("row")).to_have_count(2)
    page.get_by_role("switch", name="Live").click()
    expect(page.get_by_text("paused")).to_be_visible()
    table.get_by_role("button", name="Duration").click()
    table.get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    page.go_back()
    page.reload()
    expect(table.get_by_role("row")).to_have_count(2)
    expect(table.get_by_role("columnheader", name="Duration")).to_have_attribute("aria-sort", "ascending")
    expect(page.get_by_role("switch", name="Live")).not_to_be_checked()
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("radio", name="6 h").check()
    expect(page.get_by_text("paused")).to_be_visible()
    page.reload()
    expect(page.get_by_role("radio", name="6 h")).to_be_checked()
    expect(page.get_by_role("switch", name="Live")).not_to_be_checked()


@pytest.mark.timeout(120)
def test_no_execution_is_lost_between_pages_while_others_come(
    open_chat: OpenPage, operator: Account, visitor: Account
) -> None:
    def echo(*numbers: int) -> None:
        with visitor.client() as client:
            for number in numbers:
                body = {"id": f"echo-{number}", "content": "Hello", "agent": "echo"}
                client.post("/api/messages", json=body).raise_for_status()

    echo(*range(53))
    page = open_chat(operator, f"/ops/executions?user={visitor.id}&state=completed").page
    rows = page.get_by_role("group", name="Executions").get_by_role("row")
    expect(rows).to_have_count(1 + 50, timeout=30_000)
    page.get_by_role("button", name="Show more").click()
    expect(rows).to_have_count(1 + 53, timeout=30_000)
    echo(53, 54)
    expect(rows).to_have_count(1 + 55, timeout=30_000)


def test_a_database_session_that_an_administrator_ends_loses_its_connection(
    open_chat: OpenPage, operator: Account, visitor: Account
) -> None:
    run = ask(visitor, "holding")["run_id"]
    page = open_chat(operator, "/ops/sessions").page
    mine = page.get_by_role("group", name="Open database sessions").get_by_role("row").filter(has_text=run[-6:])
    holding = mine.filter(has=page.get_by_role("button", name=re.compile("^End ")))
    expect(holding).to_contain_text("SELECT")
    holding.get_by_role("button", name=re.compile("^End ")).click()
    dialog = page.get_by_role("dialog", name="End this database session?")
    dialog.get_by_role("button", name="End it").click()
    expect(page.get_by_text("The database session was ended.")).to_be_visible()
    expect(mine).to_have_count(0)
    page.goto(f"{operator.base_url}/ops/executions/{run}")
    expect(page.get_by_text("succeeded")).to_be_visible()  # the agent was told, and said so


def test_a_circuit_that_opens_stands_above_the_executions(
    open_chat: OpenPage, operator: Account, visitor: Account
) -> None:
    page = open_chat(operator, "/ops/executions").page
    expect(page.get_by_role("heading", name="Circuits", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Open circuits")).to_have_count(0)
    ask(visitor, "calling")
    circuit = page.get_by_role("group", name="Open circuits").get_by_role("row").filter(has_text="archive.example.com")
    expect(circuit).to_contain_text("open")
    expect(circuit).to_contain_text(re.compile(r"no route to the archive; tried again in \d+ s"))


def test_the_compliance_panel_says_what_was_checked_and_what_is_waived(open_chat: OpenPage, operator: Account) -> None:
    with operator.client() as client:
        check = client.get("/api/admin/compliance").raise_for_status().json()["check"]
    page = open_chat(operator, "/ops/compliance").page
    head = page.get_by_role("region", name="One source of truth")
    expect(head).to_contain_text(f"Netra {check['version']}")
    expect(head).to_contain_text(f"{check['score']:.1f}")
    waived = page.get_by_role("group", name="Waived").get_by_role("row")
    expect(waived).to_have_count(len(check["waived"]) + 1)
    expect(waived.nth(1)).to_contain_text(f"{check['waived'][0]['path']}:{check['waived'][0]['line']}")
    expect(waived.nth(1)).to_contain_text(check["waived"][0]["reason"])
    expect(page.get_by_role("row").filter(has_text="One definition, one name")).to_contain_text("waived")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download JSON").click()
    assert json.loads(download.value.path().read_text())["score"] == check["score"]


def test_a_new_user_signs_in_with_the_password_that_is_shown_once(
    open_chat: OpenPage, new_context: Callable[..., BrowserContext], operator: Account
) -> None:
    page = open_chat(operator, "/ops/users").page
    page.get_by_role("button", name="New user").click()
    dialog = page.get_by_role("dialog", name="New user")
    dialog.get_by_label("E-mail address").fill("newcomer@example.com")
    dialog.get_by_role("button", name="Create").click()
    shown = page.get_by_role("dialog", name="New password")
    password = shown.locator("code").inner_text()
    shown.get_by_role("button", name="Done").click()
    expect(page.get_by_role("link", name="newcomer@example.com")).to_be_visible()
    expect(page.get_by_text(password)).to_have_count(0)
    theirs = new_context().new_page()
    theirs.goto(f"{operator.base_url}/login")
    theirs.get_by_label("Email").fill("newcomer@example.com")
    theirs.get_by_label("Password").fill(password)
    theirs.keyboard.press("Enter")
    expect(ChatPage(theirs).composer).to_be_visible()


def test_a_browser_whose_login_an_administrator_ends_has_to_sign_in_again(
    open_chat: OpenPage, operator: Account, visitor: Account, console: Console
) -> None:
    console.allow("401")
    theirs = open_chat(visitor)
    page = open_chat(operator, f"/ops/users/{visitor.id}").page
    logins = page.get_by_role("group", name="Logins").get_by_role("row").filter(has_text="1 open")
    logins.get_by_role("button", name=re.compile("^End ")).click()
    page.get_by_role("button", name="End it").click()
    again = theirs.page.get_by_role("dialog", name="Sign in again")
    expect(again).to_be_visible()
    expect(logins).to_have_count(0)
    again.get_by_label("Password").fill(PASSWORD)
    theirs.page.keyboard.press("Enter")
    expect(again).to_have_count(0)
    expect(theirs.composer).to_be_visible()


@pytest.mark.timeout(120)
def test_the_page_says_that_it_is_old_while_the_server_is_dead(
    open_chat: OpenPage, operator: Account, watched: ServerProcess, console: Console
) -> None:
    console.allow("ERR_CONNECTION_REFUSED|WebSocket connection|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET")
    page = open_chat(operator, "/ops").page
    expect(page.get_by_text("updated now")).to_be_visible()
    old = page.get_by_role("status").filter(has_text="What is shown may be old.")
    expect(old).to_have_count(0)
    watched.kill9()
    try:
        expect(old).to_be_visible(timeout=5000)
        expect(page.get_by_role("banner")).to_contain_text("stale")
    finally:
        watched.start()
    expect(page.get_by_text("updated now")).to_be_visible()
    expect(old).to_have_count(0)

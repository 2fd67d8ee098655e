"""Incidents: one firing and one resolve for each, whatever fires, restarts or watches beside."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from netra.errors import NotFound
from netra.monitoring.alerts import AlertManager, AlertRule, Incident, Severity
from netra.monitoring.channels import Channels
from netra.monitoring.delivery import Delivery
from netra.monitoring.rules import Readings
from netra.storage import Database
from netra.storage.alerts import Alerts
from netra.storage.audit import OPERATOR, AuditLog
from netra.storage.silences import Silences
from support.alerting import Webhook, webhook
from support.clock import ManualClock
from support.waiting import until


class Place:
    """One database, one clock, one webhook, and managers that come and go."""

    def __init__(self, database: Database, clock: ManualClock, hook: Webhook) -> None:
        self.database, self.clock, self.hook = database, clock, hook
        self.store = Alerts(database)
        self.readings: Readings = {"": 0.0}
        self.exits = AsyncExitStack()

    def rule(self, **options: object) -> AlertRule:
        values = {"severity": Severity.CRITICAL, "fires_at": 0.5, "resolves_at": 0.2, "shared": True, **options}
        return AlertRule(  # type: ignore[arg-type]
            "failing", meaning="Something fails.", summary="{value} fail", unit="share", reading=self._read, **values
        )

    def _read(self) -> Readings:
        return self.readings

    def manager(self, *rules: AlertRule, process: str = "one:8000") -> AlertManager:
        channels = Channels([self.hook.url])
        self.exits.push_async_callback(channels.stop)
        manager = AlertManager()
        delivery = Delivery(self.store, channels, self.clock, origin="http://here")
        manager.configure(self.store, clock=self.clock, rules=rules, delivery=delivery, process=process)
        return manager

    async def pass_time(self, seconds: float, *managers: AlertManager, step: float = 10) -> None:
        passed = 0.0
        while passed < seconds:
            self.clock.advance(step)
            passed += step
            for manager in managers:
                await manager.turn()
                await manager.deliver()

    async def recent(self) -> list[Incident]:
        return await self.store.recent(100)

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.hook.received]


@pytest.fixture
async def place(database_url: str) -> AsyncIterator[Place]:
    database = Database(database_url)
    await database.start()
    async with webhook() as hook:
        place = Place(database, ManualClock(), hook)
        yield place
        await place.exits.aclose()
    await database.stop()


@pytest.mark.spec("alerts.rules")
async def test_nothing_fires_in_a_healthy_hour(place: Place) -> None:
    manager = place.manager(place.rule())
    await place.pass_time(3600, manager)
    assert await place.recent() == []
    assert place.titles == []


@pytest.mark.spec("alerts.rules", "alerts.dedupe", "alerts.resolve")
async def test_a_fault_is_told_once_when_it_begins_and_once_when_it_ends(place: Place) -> None:
    manager = place.manager(place.rule(for_seconds=60))
    place.readings = {"": 0.8}
    await place.pass_time(50, manager)
    assert place.titles == []
    await place.pass_time(600, manager)
    assert place.titles == ["[critical] failing"]
    assert "80% fail" in place.hook.received[0]["message"]
    place.readings = {"": 0.1}
    await place.pass_time(600, manager)
    assert place.titles == ["[critical] failing", "[resolved] failing"]
    (incident,) = await place.recent()
    assert incident.resolved_at is not None


@pytest.mark.spec("alerts.dedupe")
async def test_two_managers_of_one_database_tell_once(place: Place) -> None:
    first, second = place.manager(place.rule()), place.manager(place.rule(), process="two:8000")
    place.readings = {"": 0.9}
    await asyncio.gather(first.turn(), second.turn())
    await asyncio.gather(first.deliver(), second.deliver())
    await place.pass_time(120, first, second)
    place.readings = {"": 0.0}
    await asyncio.gather(first.turn(), second.turn())
    await asyncio.gather(first.deliver(), second.deliver())
    await place.pass_time(120, first, second)
    assert place.titles == ["[critical] failing", "[resolved] failing"]
    assert len(await place.recent()) == 1


@pytest.mark.spec("alerts.dedupe", "alerts.resolve")
async def test_a_restart_in_the_middle_of_an_incident_tells_nothing_twice(place: Place) -> None:
    place.readings = {"": 0.9}
    before = place.manager(place.rule(shared=False))
    await place.pass_time(60, before)
    after = place.manager(place.rule(shared=False))
    await place.pass_time(60, after)
    place.readings = {"": 0.0}
    last = place.manager(place.rule(shared=False))
    await place.pass_time(60, last)
    assert place.titles == ["[critical] failing one:8000", "[resolved] failing one:8000"]


async def test_a_process_leaves_the_incidents_of_another_alone_until_that_is_gone(place: Place) -> None:
    place.readings = {"": 0.9}
    sick = place.manager(place.rule(shared=False), process="sick:8000")
    await sick.turn()
    place.readings = {"": 0.0}
    healthy = place.manager(place.rule(shared=False), process="healthy:8000")
    await place.pass_time(300, healthy)
    (incident,) = await place.recent()
    assert incident.key == "sick:8000" and incident.resolved_at is None
    place.readings = {"": 0.9}
    await sick.turn()  # it still goes on
    place.readings = {"": 0.0}
    await place.pass_time(800, healthy)
    assert (await place.recent())[0].resolved_at is None
    await place.pass_time(200, healthy)
    assert (await place.recent())[0].resolved_at is not None


@pytest.mark.spec("alerts.hysteresis")
async def test_a_value_that_wavers_between_the_thresholds_changes_nothing(place: Place) -> None:
    manager = place.manager(place.rule(cooldown_seconds=0))
    for value in (0.49, 0.3, 0.49, 0.6, 0.3, 0.49, 0.3, 0.6, 0.21, 0.1, 0.3, 0.49):
        place.readings = {"": value}
        await place.pass_time(30, manager)
    assert place.titles == ["[critical] failing", "[resolved] failing"]


@pytest.mark.spec("alerts.cooldown")
async def test_what_comes_back_waits_for_the_cooldown_and_is_then_a_new_incident(place: Place) -> None:
    manager = place.manager(place.rule(cooldown_seconds=300))
    for _ in range(5):  # flaps for 200 seconds
        place.readings = {"": 0.9}
        await place.pass_time(20, manager)
        place.readings = {"": 0.0}
        await place.pass_time(20, manager)
    assert place.titles == ["[critical] failing", "[resolved] failing"]
    place.readings = {"": 0.9}
    await place.pass_time(300, manager)
    assert place.titles == ["[critical] failing", "[resolved] failing", "[critical] failing"]


@pytest.mark.spec("alerts.cooldown")
async def test_a_pushed_alert_that_comes_back_too_early_is_opened_when_its_cooldown_is_over(place: Place) -> None:
    manager = place.manager()
    manager.fire("door", severity="info", summary="open")
    manager.resolve("door")
    manager.fire("door", severity="info", summary="open again")
    await manager.turn()
    assert len(await place.recent()) == 1
    await place.pass_time(70, manager)
    assert [incident.resolved_at is None for incident in await place.recent()] == [True, False]


async def test_unknown_values_change_nothing_and_missing_keys_are_healthy(place: Place) -> None:
    manager = place.manager(place.rule(cooldown_seconds=0))
    place.readings = {"a": 0.9, "b": 0.9}
    await place.pass_time(20, manager)
    place.readings = {"a": None}
    await place.pass_time(20, manager)
    still = {incident.key: incident.resolved_at is None for incident in await place.recent()}
    assert still == {"a": True, "b": False}
    assert manager.values("failing") == {"b": 0.2} or manager.values("failing") == {}


async def test_a_rule_that_cannot_be_read_does_not_silence_the_others(place: Place) -> None:
    def broken() -> Readings:
        raise RuntimeError("no")

    other = AlertRule("other", Severity.INFO, "Other.", "other", broken, "", fires_at=1, resolves_at=0)
    manager = place.manager(other, place.rule())
    place.readings = {"": 0.9}
    await manager.turn()
    assert [incident.rule for incident in await place.recent()] == ["failing"]


async def test_firings_from_any_thread_before_the_start_are_kept_and_stored(place: Place) -> None:
    manager = AlertManager()

    def fire() -> None:
        for number in range(50):
            manager.fire("door", key=str(number), severity="warning", summary="open", details={"n": number})

    threads = [threading.Thread(target=fire) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    manager.resolve("door", "0")
    manager.configure(place.store, clock=place.clock)
    await manager.start()
    await manager.stop()
    recent = await place.recent()
    assert len(recent) == 50
    assert sum(incident.resolved_at is not None for incident in recent) == 1


async def test_what_waits_is_bounded() -> None:
    manager = AlertManager()
    for number in range(1500):
        manager.fire("door", key=str(number), severity="info", summary="open")
    assert len(manager._asked) == 1000


async def test_what_is_fired_while_it_runs_is_stored_and_told_at_once(place: Place) -> None:
    manager = place.manager()
    await manager.start()
    await asyncio.to_thread(manager.fire, "door", severity="critical", summary="The door is open.")
    await until(lambda: place.hook.received, "the notice")
    assert place.titles == ["[critical] door"]
    await manager.stop()


async def test_a_database_that_is_away_loses_no_firing(place: Place) -> None:
    manager = place.manager()
    await place.database.stop()
    manager.fire("door", severity="critical", summary="open")
    with pytest.raises(Exception, match="not open"):
        await manager.turn()
    await place.database.start()
    await manager.turn()
    assert [incident.rule for incident in await place.recent()] == ["door"]


def test_an_unknown_severity_is_refused() -> None:
    with pytest.raises(ValueError, match="loud"):
        AlertManager().fire("door", severity="loud", summary="open")


@pytest.mark.spec("alerts.channels")
async def test_a_channel_that_fails_is_tried_again_and_told_once(place: Place) -> None:
    manager = place.manager()
    place.hook.status = 500
    manager.fire("door", severity="critical", summary="open")
    await place.pass_time(120, manager)
    asked = place.hook.asked
    assert 3 < asked < 12  # with growing pauses
    place.hook.status = 200
    await place.pass_time(300, manager)
    assert place.titles == ["[critical] door"]


async def test_a_channel_that_never_answers_well_is_given_up(place: Place) -> None:
    manager = place.manager()
    place.hook.status = 500
    manager.fire("door", severity="critical", summary="open")
    await place.pass_time(5000, manager, step=60)
    asked = place.hook.asked
    await place.pass_time(1000, manager, step=60)
    assert place.hook.asked == asked


async def test_a_notice_left_by_a_process_that_died_is_sent_by_the_next(place: Place) -> None:
    died = place.manager()
    died.fire("door", severity="critical", summary="open")
    await died.turn()
    now = place.clock.now()
    assert len(await place.store.claim(now, now.replace(hour=13), 10)) == 1  # it began to send, and died
    after = place.manager()
    await place.pass_time(30, after)
    assert place.titles == []
    await place.pass_time(3600, after, step=60)
    assert place.titles == ["[critical] door"]


async def test_a_channel_that_takes_its_time_gets_nothing_twice_from_two_processes(place: Place) -> None:
    one, other = place.manager(), place.manager(process="two:8000")

    async def meanwhile() -> None:
        place.hook.meanwhile = None
        place.clock.advance(70)
        await other.deliver()
        place.hook.meanwhile = meanwhile

    place.hook.meanwhile = meanwhile
    for number in range(2):
        one.fire("door", key=str(number), severity="info", summary="open")
    await one.turn()
    await one.deliver()
    assert sorted(place.titles) == [f"[info] door {number}" for number in range(2)]


async def test_a_flood_of_alerts_is_sent_at_a_bounded_rate_and_completely(place: Place) -> None:
    manager = place.manager()
    for number in range(30):
        manager.fire("door", key=str(number), severity="info", summary="open")
        await manager.turn()
        await manager.deliver()
    assert place.titles == [f"[info] door {number}" for number in range(20)]
    await place.pass_time(120, manager)
    assert place.titles[20:] == ["[info] 10 alerts: door (10)"]
    assert all(f"[info] door {number}\n" in place.hook.received[-1]["message"] for number in range(20, 30))


async def test_what_is_long_over_is_forgotten(place: Place) -> None:
    manager = place.manager()
    manager.fire("door", severity="info", summary="open")
    manager.fire("window", severity="info", summary="open")
    manager.resolve("door")
    await manager.turn()
    place.clock.advance(91 * 86_400)
    await manager.turn()
    assert [incident.rule for incident in await place.recent()] == ["window"]


def silences(place: Place) -> Silences:
    return Silences(place.database, place.clock, AuditLog(place.database, place.clock))


@pytest.mark.spec("alerts.dedupe")
async def test_a_silence_keeps_a_notice_back_until_it_ends_and_the_incident_is_seen(place: Place) -> None:
    manager = place.manager(place.rule())
    await silences(place).add(OPERATOR, "failing", None, 10, "being looked at")
    place.readings = {"": 0.9}
    await place.pass_time(540, manager)
    assert place.titles == []
    assert [incident.rule for incident in await manager.open_incidents()] == ["failing"]
    await place.pass_time(120, manager)
    assert place.titles == ["[critical] failing"]


async def test_what_begins_and_ends_in_a_silence_is_never_told(place: Place) -> None:
    manager = place.manager(place.rule())
    await silences(place).add(OPERATOR, "failing", None, 60, "a rehearsal")
    place.readings = {"": 0.9}
    await place.pass_time(60, manager)
    place.readings = {"": 0.0}
    await place.pass_time(7200, manager)
    assert place.titles == []
    assert [incident.resolved_at is not None for incident in await place.recent()] == [True]


async def test_the_end_of_an_incident_told_before_a_silence_is_told_after_it(place: Place) -> None:
    manager = place.manager(place.rule())
    place.readings = {"": 0.9}
    await place.pass_time(60, manager)
    made = await silences(place).add(OPERATOR, "failing", None, 60, "known")
    place.readings = {"": 0.0}
    await place.pass_time(600, manager)
    assert place.titles == ["[critical] failing"]
    await silences(place).end(OPERATOR, made.id)
    await place.pass_time(20, manager)
    assert place.titles == ["[critical] failing", "[resolved] failing"]
    with pytest.raises(NotFound):
        await silences(place).end(OPERATOR, made.id)


async def test_a_silence_of_one_key_leaves_the_others_heard(place: Place) -> None:
    manager = place.manager(place.rule())
    await silences(place).add(OPERATOR, "failing", "b", 60, "b is being replaced")
    place.readings = {"a": 0.9, "b": 0.9}
    await place.pass_time(60, manager)
    assert place.titles == ["[critical] failing a"]


async def test_notices_that_are_due_at_once_are_one_message(place: Place) -> None:
    manager = place.manager(place.rule())
    place.readings = dict.fromkeys("abcd", 0.9)
    await place.pass_time(60, manager)
    assert place.titles == ["[critical] 4 alerts: failing (4)"]
    assert all(f"[critical] failing {key}" in place.hook.received[0]["message"] for key in "abcd")
    place.readings = {"a": 0.9}
    await place.pass_time(60, manager)
    assert place.titles[1:] == ["[resolved] 3 alerts: failing (3)"]


async def test_an_acknowledged_incident_says_by_whom_and_stays_open(place: Place) -> None:
    manager = place.manager(place.rule())
    place.readings = {"": 0.9}
    await place.pass_time(20, manager)
    (incident,) = await manager.open_incidents()
    await manager.acknowledge(incident.id, "ada@example.com", "on it")
    (incident,) = await manager.open_incidents()
    assert (incident.acknowledged_by, incident.note) == ("ada@example.com", "on it")
    place.readings = {"": 0.0}
    await place.pass_time(60, manager)
    assert place.titles == ["[critical] failing", "[resolved] failing"]
    with pytest.raises(NotFound):
        await manager.acknowledge(incident.id, "ada@example.com", "too late")

"""Circuit breakers: the rules one by one, and a state machine that tries any order of calls against a simple model."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import asdict

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from netra.config import Settings
from netra.errors import CircuitOpen, Unavailable
from netra.executions import Breaker, BreakerRules, Breakers
from netra.executions.breaker import MOST_BREAKERS, Admission, Change
from netra.gateway.http.problems import problem_response
from netra.monitoring.metrics import metrics
from support.clock import ManualClock

RULES = BreakerRules()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def changes() -> list[Change]:
    return []


@pytest.fixture
def breakers(clock: ManualClock, changes: list[Change]) -> Breakers:
    return Breakers(RULES, clock, on_change=changes.append)


@pytest.fixture
def breaker(breakers: Breakers) -> Breaker:
    return breakers.get("agent", "echo")


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        breaker.failed("no answer", breaker.admit())


def succeed(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        breaker.succeeded(breaker.admit())


def refusal_of(breaker: Breaker) -> CircuitOpen:
    with pytest.raises(CircuitOpen) as refused:
        breaker.admit()
    return refused.value


def trip(breaker: Breaker) -> None:
    fail(breaker, RULES.failures)
    assert breaker.state == "open"


@pytest.mark.spec("breaker.states")
def test_it_opens_with_the_fifth_failure_and_not_before(breaker: Breaker, changes: list[Change]) -> None:
    fail(breaker, 4)
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.state == "open"
    assert changes == [Change("agent", "echo", "closed", "open", "no answer")]
    assert refusal_of(breaker).retry_after == 30


@pytest.mark.spec("breaker.states")
def test_it_stays_closed_while_most_calls_go_well(breaker: Breaker) -> None:
    succeed(breaker, 6)
    fail(breaker, 5)
    assert breaker.state == "closed", "5 of 11 are less than half"
    fail(breaker)
    assert breaker.state == "open", "6 of 12 are half"


@pytest.mark.spec("breaker.states")
def test_only_the_last_twenty_calls_count(breaker: Breaker) -> None:
    succeed(breaker, 100)
    fail(breaker, 9)
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.state == "open", "10 of the last 20"


@pytest.mark.spec("breaker.states")
def test_failures_of_more_than_a_minute_ago_do_not_count(breaker: Breaker, clock: ManualClock) -> None:
    fail(breaker, 4)
    clock.advance(60.5)
    fail(breaker, 4)
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.state == "open"


@pytest.mark.spec("breaker.states")
def test_two_trials_that_go_well_close_it_one_at_a_time(
    breaker: Breaker, clock: ManualClock, changes: list[Change]
) -> None:
    trip(breaker)
    clock.advance(29)
    assert refusal_of(breaker).retry_after == 1
    clock.advance(1)
    trial = breaker.admit()
    assert breaker.state == "half_open"
    refusal_of(breaker)
    breaker.succeeded(trial)
    assert breaker.state == "half_open"
    succeed(breaker)
    assert [change.after for change in changes] == ["open", "half_open", "closed"]
    fail(breaker, 4)
    assert breaker.state == "closed", "what was before is forgotten"


@pytest.mark.spec("breaker.states")
def test_a_failed_trial_opens_it_for_twice_as_long_up_to_five_minutes(breaker: Breaker, clock: ManualClock) -> None:
    trip(breaker)
    waits = []
    for _ in range(6):
        waits.append(refusal_of(breaker).retry_after)
        clock.advance(waits[-1])
        fail(breaker)
    assert waits == [30, 60, 120, 240, 300, 300]
    clock.advance(300)
    succeed(breaker, 2)
    trip(breaker)
    assert refusal_of(breaker).retry_after == 30, "once closed, it begins anew"


@pytest.mark.spec("breaker.states")
def test_trials_that_went_well_before_one_that_failed_do_not_count(breaker: Breaker, clock: ManualClock) -> None:
    trip(breaker)
    clock.advance(30)
    succeed(breaker)
    fail(breaker)
    clock.advance(60)
    succeed(breaker)
    assert breaker.state == "half_open"
    succeed(breaker)
    assert breaker.state == "closed"


def test_an_outcome_that_says_nothing_makes_room_for_another_trial(breaker: Breaker, clock: ManualClock) -> None:
    trip(breaker)
    clock.advance(30)
    breaker.ignored(breaker.admit())
    assert breaker.state == "half_open"
    succeed(breaker, 2)
    assert breaker.state == "closed"


def test_a_trial_without_an_outcome_does_not_block_for_ever(breaker: Breaker, clock: ManualClock) -> None:
    trip(breaker)
    clock.advance(30)
    breaker.admit()
    clock.advance(299)
    refusal_of(breaker)
    clock.advance(1)
    succeed(breaker, 2)
    assert breaker.state == "closed"


def test_outcomes_of_calls_from_before_the_change_say_nothing(breaker: Breaker, clock: ManualClock) -> None:
    late = [breaker.admit() for _ in range(3)]
    trip(breaker)
    breaker.failed("late", late[0])
    clock.advance(30)
    trial = breaker.admit()
    breaker.failed("late", late[1])
    breaker.succeeded(late[2])
    assert breaker.state == "half_open"
    breaker.succeeded(trial)
    succeed(breaker)
    assert breaker.state == "closed"
    breaker.failed("late", trial)
    assert breaker.status().failures == 0


def test_what_is_only_planned_is_refused_but_takes_no_trial(breaker: Breaker, clock: ManualClock) -> None:
    breaker.check()
    trip(breaker)
    with pytest.raises(CircuitOpen):
        breaker.check()
    clock.advance(30)
    breaker.check()
    breaker.check()
    breaker.admit()


@pytest.mark.spec("breaker.visible")
def test_the_refusal_says_what_rests_and_when_to_come_back(breakers: Breakers, clock: ManualClock) -> None:
    agent, host = breakers.get("agent", "echo"), breakers.get("host", "api.example")
    for breaker in (agent, host):
        trip(breaker)
    clock.advance(0.5)
    refused = refusal_of(agent)
    assert refused.message == "The agent 'echo' has failed repeatedly and is not asked for a while."
    assert refused.hint == "Try again in 30 seconds."
    assert refusal_of(host).message.startswith("The server 'api.example' ")
    assert not isinstance(refused, Unavailable), "what waits for the database must not wait for this"
    answer = problem_response(refused)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert b'"code":"circuit_open"' in answer.body
    assert b'"retry_after_seconds":29.5' in answer.body
    assert b"echo" in answer.body


@pytest.mark.spec("breaker.visible")
def test_circuits_that_are_not_closed_are_in_the_metrics(breakers: Breakers, clock: ManualClock) -> None:
    def state() -> float | None:
        labels = {"kind": "host", "name": "metrics.example"}
        return metrics.registry.get_sample_value("netra_breaker_state", labels)

    def trips() -> float:
        return metrics.registry.get_sample_value("netra_breaker_trips_total", {"kind": "host"}) or 0.0

    breaker, before = breakers.get("host", "metrics.example"), trips()
    succeed(breaker)
    assert state() is None
    trip(breaker)
    assert (state(), trips()) == (2, before + 1)
    clock.advance(30)
    succeed(breaker)
    assert state() == 1
    succeed(breaker)
    assert (state(), trips()) == (None, before + 1)


def test_a_status_tells_what_it_rests_on(breakers: Breakers, breaker: Breaker, clock: ManualClock) -> None:
    succeed(breaker, 2)
    fail(breaker)
    assert asdict(breaker.status()) == {
        "kind": "agent",
        "name": "echo",
        "state": "closed",
        "calls": 3,
        "failures": 1,
        "trips": 0,
        "retry_after_seconds": None,
        "reason": "no answer",
    }
    fail(breaker, 4)
    clock.advance(10)
    assert (breaker.status().trips, breaker.status().retry_after_seconds) == (1, 20)
    succeed(breakers.get("host", "a.example"))
    assert [status.name for status in breakers.statuses()] == ["echo", "a.example"], "what is not closed comes first"


def test_each_name_has_one_breaker_and_hosts_have_no_case(breakers: Breakers) -> None:
    assert breakers.get("agent", "echo") is breakers.get("agent", "echo")
    assert breakers.get("agent", "echo") is not breakers.get("host", "echo")
    assert breakers.get("agent", "Echo") is not breakers.get("agent", "echo")
    assert breakers.get("host", "API.example") is breakers.get("host", "api.example")
    for kind, name in (("agent", " "), ("host", "h" * 256), ("user", "ada")):
        with pytest.raises(ValueError, match="breaker"):
            breakers.get(kind, name)  # type: ignore[arg-type]


def test_there_are_never_more_breakers_than_the_bound_and_open_ones_stay(breakers: Breakers) -> None:
    open_one = breakers.get("host", "open.example")
    trip(open_one)
    for number in range(2 * MOST_BREAKERS):
        breakers.get("host", f"host{number}.example")
    assert len(breakers.statuses()) == MOST_BREAKERS
    assert breakers.get("host", "open.example") is open_one


def test_a_forgotten_breaker_leaves_no_series_whatever_becomes_of_its_last_calls(breakers: Breakers) -> None:
    forgotten = breakers.get("host", "long.example")
    admissions = [forgotten.admit() for _ in range(RULES.failures)]
    for number in range(MOST_BREAKERS):
        breakers.get("host", f"{number}.example")
    for admission in admissions:
        forgotten.failed("no answer", admission)
    assert forgotten.state == "open"
    labels = {"kind": "host", "name": "long.example"}
    assert metrics.registry.get_sample_value("netra_breaker_state", labels) is None
    fail(breakers.get("host", "long.example"), RULES.failures)
    assert metrics.registry.get_sample_value("netra_breaker_state", labels) == 2
    forgotten.succeeded()
    assert metrics.registry.get_sample_value("netra_breaker_state", labels) == 2
    metrics.breaker_state.remove("host", "long.example")


def test_a_circuit_changes_whatever_becomes_of_its_alert(clock: ManualClock) -> None:
    def breaks(change: Change) -> None:
        raise OSError(change.name)

    breaker = Breakers(RULES, clock, on_change=breaks).get("agent", "echo")
    trip(breaker)
    refusal_of(breaker)


def test_threads_get_one_trial_between_them(breaker: Breaker, clock: ManualClock) -> None:
    trip(breaker)
    clock.advance(30)
    admitted: list[Admission] = []
    ready = threading.Barrier(20)

    def ask() -> None:
        ready.wait(10)
        with suppress(CircuitOpen):
            admitted.append(breaker.admit())

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(admitted) == 1


def test_the_settings_choose_the_rules() -> None:
    rules = BreakerRules.of(Settings(breaker_failures=30, breaker_open_seconds=2))
    assert (rules.failures, rules.calls, rules.open_seconds, rules.most_open_seconds) == (30, 60, 2, 20)
    assert BreakerRules.of(Settings()) == RULES


class AnyOrder(RuleBasedStateMachine):
    """Calls begin, end and time passes in any order; the model is a list of outcomes and a few numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.changes: list[Change] = []
        self.breaker = Breakers(RULES, self.clock, on_change=self.changes.append).get("agent", "echo")
        self.calls: list[tuple[int, Admission]] = []  # under way: the stretch of the model, and the admission
        self.stretch = 0
        self.state = "closed"
        self.outcomes: list[tuple[float, bool]] = []
        self.open_until = 0.0
        self.wait = RULES.open_seconds
        self.good_trials = 0
        self.trial: float | None = None

    def become(self, state: str) -> None:
        self.state, self.stretch, self.outcomes = state, self.stretch + 1, []
        self.good_trials, self.trial = 0, None

    @rule()
    def begin(self) -> None:
        now = self.clock.monotonic()
        if self.state == "open" and now >= self.open_until:
            self.become("half_open")
        trial_under_way = self.trial is not None and now < self.trial + RULES.most_open_seconds
        if self.state == "open" or (self.state == "half_open" and trial_under_way):
            refused = refusal_of(self.breaker)
            assert refused.retry_after > 0
            return
        if self.state == "half_open":
            self.trial = now
        self.calls.append((self.stretch, self.breaker.admit()))

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 1000), outcome=st.sampled_from(["good", "good", "bad", "bad", "bad", "nothing"]))
    def end(self, which: int, outcome: str) -> None:
        stretch, admission = self.calls.pop(which % len(self.calls))
        if outcome == "good":
            self.breaker.succeeded(admission)
        elif outcome == "bad":
            self.breaker.failed("bad", admission)
        else:
            self.breaker.ignored(admission)
        if stretch == self.stretch:
            self.count(outcome)

    def count(self, outcome: str) -> None:
        now = self.clock.monotonic()
        if self.state == "closed":
            if outcome != "nothing":
                self.outcomes.append((now, outcome == "good"))
            recent = [good for at, good in self.outcomes[-RULES.calls :] if at >= now - RULES.window_seconds]
            bad = recent.count(False)
            if outcome == "bad" and bad >= RULES.failures and bad >= RULES.share * len(recent):
                self.open_until = now + self.wait
                self.become("open")
        elif self.trial is not None:
            self.trial = None
            if outcome == "good":
                self.good_trials += 1
                if self.good_trials == RULES.successes:
                    self.wait = RULES.open_seconds
                    self.become("closed")
            elif outcome == "bad":
                self.wait = min(2 * self.wait, RULES.most_open_seconds)
                self.open_until = now + self.wait
                self.become("open")

    @rule(seconds=st.sampled_from([1, 7, 31, 61, 301]))
    def wait_for(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @invariant()
    def agrees(self) -> None:
        assert self.breaker.state == self.state
        status = self.breaker.status()
        assert status.trips == sum(1 for change in self.changes if change.after == "open")
        assert (status.retry_after_seconds is None) == (self.state != "open")
        for before, after in zip(self.changes, self.changes[1:], strict=False):
            assert before.after == after.before


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestAnyOrder = pytest.mark.spec("breaker.states")(AnyOrder.TestCase)

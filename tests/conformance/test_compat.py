"""The old import paths: each name of the table is the object itself, and each phase does what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import netra
from netra.sessions.metrics import DatabaseSessionMetrics, SystemSessionMetrics
from netra_compat.table import MODULES

ROOT = Path(__file__).resolve().parents[2]
ROWS = [(module, name) for module, names in MODULES.items() for name in names]
OLD = "netra_backend.app.services.websocket.quality_message_router"
IMPORT = f"from {OLD} import QualityMessageRouter"


def run(program: str, *, phase: str | None = None, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "NETRA_COMPAT_PHASE"}
    if phase is not None:
        environment["NETRA_COMPAT_PHASE"] = phase
    command = [sys.executable, *options, "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1].strip()


@pytest.mark.spec("compat.identity", "rules.one-definition")
@pytest.mark.parametrize(("module", "name"), ROWS, ids=[f"{module}.{name}" for module, name in ROWS])
def test_an_old_name_is_the_object_itself(module: str, name: str) -> None:
    home, new = MODULES[module][name]
    found = getattr(import_module(module), name)
    assert found is getattr(import_module(home), new)
    if isinstance(found, type):
        # where it is defined: in Netra or, for what tests use, in their support
        assert found.__module__.split(".")[0] in ("netra", "support")


@pytest.mark.spec("compat.identity")
def test_star_and_dir_give_the_names_of_the_table() -> None:
    for module, names in MODULES.items():
        found = import_module(module)
        assert found.__all__ == sorted(names)
        assert set(names) <= set(dir(found))


def test_each_first_part_is_a_package_of_its_own_that_pip_knows() -> None:
    packages = {path.parent.name for path in (ROOT / "compat" / "src").glob("*/__init__.py")}
    assert packages == {module.split(".")[0] for module in MODULES} | {"netra_compat"}


@pytest.mark.spec("router.one-class")
def test_the_three_routers_are_one_class() -> None:
    from netra_backend.app.services.websocket.quality_message_router import QualityMessageRouter
    from netra_backend.app.websocket_core.canonical_message_router import CanonicalMessageRouter
    from netra_backend.app.websocket_core.handlers import MessageRouter

    from netra.routing import MessageRouter as Canonical

    assert MessageRouter is QualityMessageRouter is CanonicalMessageRouter is Canonical


@pytest.mark.spec("alerts.one-manager")
def test_the_two_alert_managers_are_one_class_with_one_instance() -> None:
    from netra.monitoring.alerts import AlertManager, alert_manager

    full = import_module("netra_backend.app.monitoring.alert_manager")
    compact = import_module("netra_backend.app.monitoring.alert_manager_compact")
    assert full.AlertManager is compact.CompactAlertManager is AlertManager
    assert full.alert_manager is compact.alert_manager is alert_manager
    assert type(alert_manager) is AlertManager


@pytest.mark.spec("session-metrics.session-metrics-name")
def test_session_metrics_means_what_its_path_says() -> None:
    beside_the_factory = "netra_backend.app.database.request_scoped_session_factory"
    for path in ("shared.metrics", "shared.metrics.session_metrics", beside_the_factory):
        assert import_module(path).SessionMetrics is DatabaseSessionMetrics
    beside_the_manager = import_module("shared.session_management.user_session_manager").SessionMetrics
    assert beside_the_manager is SystemSessionMetrics
    pick = import_module("shared.session_management.compatibility_aliases").SessionMetrics
    for keywords in ({"session_id": "s"}, {"request_id": "r"}, {"user_id": "u"}):
        assert type(pick(**keywords)) is DatabaseSessionMetrics
    for keywords in ({}, {"total_sessions": 3}, {"active_sessions": 1}):
        made = pick(**keywords)
        assert type(made) is SystemSessionMetrics
    for made in (pick(), pick(session_id="s")):
        assert made.last_activity == made.created_at
        assert made.to_dict()["last_activity_at"] == made.last_activity.isoformat()


@pytest.mark.spec("compat.phase-silent")
@pytest.mark.parametrize("phase", [None, "", "1"])
def test_phase_1_says_nothing(phase: str | None) -> None:
    done = run(f"{IMPORT}; print(QualityMessageRouter.__name__)", phase=phase, options=("-W", "error"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "MessageRouter\n", "")


@pytest.mark.spec("compat.phase-warning")
def test_phase_2_warns_every_importer_where_it_stands_and_names_the_new_path(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / f"{name}.py").write_text(f'"""Imports an old name."""\n{IMPORT}\n')
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import first, second; print('went on')"
    done = run(program, phase="2", options=("-W", "always"))
    assert done.stdout == "went on\n"
    for name in ("first", "second"):
        where = re.escape(f"{tmp_path / name}.py:2: DeprecationWarning: {OLD}.QualityMessageRouter is deprecated")
        assert len(re.findall(where, done.stderr)) == 1
    assert done.stderr.count("from netra.routing import MessageRouter") == 2


@pytest.mark.spec("compat.phase-warning")
def test_phase_2_is_an_error_where_warnings_are(tmp_path: Path) -> None:
    done = run(IMPORT, phase="2", options=("-W", "error"))
    assert done.returncode == 1
    assert last_line(done.stderr).startswith("DeprecationWarning: ")


@pytest.mark.spec("compat.phase-error")
@pytest.mark.parametrize("statement", [IMPORT, f"import {OLD}", f"from {OLD} import *"])
def test_phase_3_refuses_and_names_the_new_path(statement: str) -> None:
    done = run(statement, phase="3")
    assert done.returncode == 1
    assert f"ImportError: {OLD} is no more" in done.stderr
    assert last_line(done.stderr) == "from netra.routing import MessageRouter  # was QualityMessageRouter"


@pytest.mark.spec("compat.phase-error")
@pytest.mark.parametrize("module", MODULES)
def test_phase_3_names_the_new_path_of_every_name(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules]:
        if name.split(".")[0] == module.split(".")[0]:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("NETRA_COMPAT_PHASE", "3")
    with pytest.raises(ImportError, match="is no more") as refused:
        import_module(module)
    for home, new in MODULES[module].values():
        assert f"from {home} import {new}" in str(refused.value)


@pytest.mark.spec("compat.phase-error")
def test_phase_3_refuses_the_names_of_a_module_that_was_imported_before(monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module(OLD)
    monkeypatch.setenv("NETRA_COMPAT_PHASE", "3")
    with pytest.raises(ImportError, match=r"from netra\.routing import MessageRouter"):
        _ = module.QualityMessageRouter


def test_a_phase_that_is_none_is_refused() -> None:
    done = run(IMPORT, phase="4")
    assert last_line(done.stderr) == (
        "ImportError: NETRA_COMPAT_PHASE is '4'; set it to 1 (silent), 2 (warn) or 3 (refuse)"
    )


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ImportError, match=r"has no 'Nothing'; it has QualityMessageRouter$"):
        exec(f"from {OLD} import Nothing")
    with pytest.raises(ImportError, match=r"has no 'nothing'; it has canonical_message_router, handlers$"):
        exec("from netra_backend.app.websocket_core import nothing")


def test_an_unknown_module_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"netra_backend\.app\.nothing"):
        import_module("netra_backend.app.nothing")
    assert find_spec("shared.nothing") is None


def test_a_module_is_imported_from_its_package_as_usual() -> None:
    from shared.metrics import session_metrics

    assert session_metrics.__name__ == "shared.metrics.session_metrics"
    assert session_metrics.__spec__.origin == "netra_compat.table"
    assert not hasattr(session_metrics, "__path__")


@pytest.mark.spec("compat.separate")
def test_netra_never_imports_an_old_path() -> None:
    old = "|".join({module.split(".")[0] for module in MODULES} | {"netra_compat"})
    found = [
        str(path)
        for path in Path(netra.__file__).parent.rglob("*.py")
        if re.search(rf"^\s*(?:from|import) (?:{old})\b|import_module\(.(?:{old})\b", path.read_text(), re.MULTILINE)
    ]
    assert found == []


@pytest.mark.spec("compat.separate")
def test_it_costs_nothing_until_it_is_used_and_then_only_what_is_asked_for() -> None:
    done = run(
        "import sys; before = 'netra_compat' in sys.modules\n"
        "import netra_backend.app.services.websocket.quality_message_router\n"
        "print(before, any(name.split('.')[0] == 'netra' for name in sys.modules))"
    )
    assert done.stdout == "False False\n", done.stderr

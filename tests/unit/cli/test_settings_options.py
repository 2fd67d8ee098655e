"""Every setting is an option of `netra serve`, and wrong settings are explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from netra.cli.settings import load, with_settings
from netra.config import AlertRuleSettings, Settings
from netra.errors import ConfigurationError


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty directory and environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETRA_CONFIG", "")


@pytest.fixture
def seen() -> list[Settings]:
    return []


@pytest.fixture
def app(seen: list[Settings]) -> typer.Typer:
    app = typer.Typer()

    @app.command()
    @with_settings()
    def command(*, settings: Settings) -> None:
        seen.append(settings)

    return app


VALUES: dict[type, tuple[str, Any]] = {int: ("70000", 70000), float: ("2.5", 2.5), str: ("abc", "abc")}
SPECIAL: dict[str, tuple[str, Any]] = {
    "access_token_seconds": ("120", 120),
    "log_format": ("json", "json"),
    "log_level": ("debug", "debug"),
    "public_url": ("https://netra.example/", "https://netra.example"),
    "port": ("9000", 9000),
    "alert_run_failure_share": ("0.4", 0.4),
    "tool_processes": ("3", 3),
    "session_connections": ("12", 12),
    "tracing": ("on", "on"),
    "alert_rules": ('{"loop_lag": {"fires_at": 2}}', {"loop_lag": AlertRuleSettings(fires_at=2)}),
    "data_dir": ("elsewhere", Path("elsewhere")),
}


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_each_setting_has_an_option_that_sets_it(name: str, app: typer.Typer, seen: list[Settings]) -> None:
    option = "--" + name.replace("_", "-")
    kind = Settings.model_fields[name].annotation
    if kind is bool:
        arguments, expected = [option], True
    elif kind == list[str]:
        arguments, expected = [option, "a://b", option, "c://d"], ["a://b", "c://d"]
    elif name in SPECIAL:
        arguments, expected = [option, SPECIAL[name][0]], SPECIAL[name][1]
    else:
        for base in (int, float, str):
            if kind in (base, base | None):
                value = "7" if base is int and "worker" in name else VALUES[base][0]
                value = "200" if name == "read_connections" else value
                arguments, expected = [option, value], base(value)
                break
        else:
            pytest.fail(f"no sample value for {name}: {kind}")
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert getattr(seen[0], name) == expected


def test_an_option_wins_over_the_environment_and_that_over_the_file(
    app: typer.Typer, seen: list[Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netra.toml").write_text("port = 1111\nruns_running = 11\ntool_workers = 3\n")
    monkeypatch.setenv("NETRA_PORT", "2222")
    monkeypatch.setenv("NETRA_RUNS_RUNNING", "22")
    CliRunner().invoke(app, ["--port", "3333"], catch_exceptions=False)
    assert (seen[0].port, seen[0].runs_running, seen[0].tool_workers) == (3333, 22, 3)


def test_a_named_file_is_used(app: typer.Typer, seen: list[Settings], tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('agents = ["my:agent"]\n')
    CliRunner().invoke(app, ["--config", str(tmp_path / "other.toml")], catch_exceptions=False)
    assert seen[0].agents == ["my:agent"]


def test_a_wrong_value_is_named_without_a_traceback() -> None:
    with pytest.raises(ConfigurationError, match="port:") as caught:
        load(port=99999)
    assert caught.value.hint is not None


def test_an_unknown_setting_in_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "netra.toml").write_text("prot = 1\n")
    with pytest.raises(ConfigurationError, match="prot: there is no such setting"):
        load()


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "netra.toml").write_text("port 1\n")
    with pytest.raises(ConfigurationError, match=r"netra\.toml is not valid TOML"):
        load()


def test_a_wrong_alert_channel_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(alert_urls=["hunter2secret"])
    assert "alert_urls" in refused.value.message
    assert "hunter2secret" not in refused.value.message
    assert "hunter2secret" not in repr(load(alert_urls=["json://hunter2secret"]))


def test_a_list_of_the_environment_that_is_no_json_is_explained_without_being_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NETRA_ALERT_URLS", "json://hunter2secret")
    with pytest.raises(ConfigurationError, match="alert_urls") as refused:
        load()
    assert refused.value.hint is not None and "JSON" in refused.value.hint
    assert "hunter2secret" not in refused.value.message


def test_a_table_that_is_not_json_is_refused_with_the_place_to_write_it(app: typer.Typer) -> None:
    with pytest.raises(ConfigurationError) as refused:
        CliRunner().invoke(app, ["--alert-rules", "{loop_lag}"], catch_exceptions=False)
    assert "[alert_rules]" in str(refused.value.hint)

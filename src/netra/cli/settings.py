"""Turns `netra.config.Settings` into command-line options, so that an option exists for everything that can be set.

A command decorated with `with_settings` gets one option per setting (or per named setting), plus `--config`, and is
called with the finished `settings`. Options not given leave the environment, `netra.toml` and the defaults in charge.
"""

from __future__ import annotations

import inspect
import json
import os
import tomllib
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Union, get_args, get_origin

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import SettingsError

from netra.config import Settings
from netra.errors import ConfigurationError

DATA = ("data_dir", "database_url")
"""The settings that say where the data is: enough for commands that only touch the database."""


def with_settings(*names: str, exclude: tuple[str, ...] = ()) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that replaces a command's `settings` parameter by options.

    Args:
        names: the settings that get an option; none given means all.
        exclude: settings that the command takes in another way.
    """
    chosen = [name for name in (names or Settings.model_fields) if name not in exclude]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "settings"]
        options = [_option(name, Settings.model_fields[name]) for name in chosen]
        config = inspect.Parameter(
            "config",
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                Path | None, typer.Option(help="Settings file. Default: netra.toml.", rich_help_panel="Settings")
            ],
        )

        @wraps(command)
        def run(**values: Any) -> Any:
            given = {name: values.pop(name) for name in chosen}
            settings = load(values.pop("config"), **given)
            return command(**values, settings=settings)

        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        run.__signature__ = inspect.Signature([*parameters, config, *options])  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in [*parameters, config, *options]}
        return run

    return decorate


def load(config: Path | None = None, **given: Any) -> Settings:
    """The settings with the options that were given; None and empty lists mean not given.

    Raises:
        ConfigurationError: a value or the settings file is wrong; the message names each.
    """
    if config is not None:
        os.environ["NETRA_CONFIG"] = str(config)
    chosen = {name: value for name, value in given.items() if value is not None and value != []}
    for name, value in chosen.items():
        if isinstance(value, str) and _is_table(Settings.model_fields[name]):
            chosen[name] = _table(name, value)
    try:
        return Settings(**chosen)
    except ValidationError as error:
        raise ConfigurationError(
            "The settings cannot be used.\n" + "\n".join(_complaint(item) for item in error.errors()),
            hint="Every setting can come from an option, NETRA_<NAME> or netra.toml; see: netra serve --help",
        ) from None
    except SettingsError as error:  # says which setting, and nothing of its value, which may be secret
        raise ConfigurationError(
            f"The settings cannot be used: {error}.",
            hint="In the environment, a list is written as JSON: NETRA_AGENTS='[\"my_module:agent\"]'",
        ) from None
    except tomllib.TOMLDecodeError as error:
        file = os.environ.get("NETRA_CONFIG") or "netra.toml"
        raise ConfigurationError(f"{file} is not valid TOML: {error}") from None


def _complaint(item: Any) -> str:
    name = ".".join(str(part) for part in item["loc"]) or "settings"
    if item["type"] == "extra_forbidden":
        return f"  {name}: there is no such setting"
    return f"  {name}: {item['msg']}"


def _option(name: str, field: FieldInfo) -> inspect.Parameter:
    """The option `--name-with-dashes` for one setting."""
    dashed = name.replace("_", "-")
    members = tuple(member for member in get_args(field.annotation) if member is not NoneType)
    optional = NoneType in get_args(field.annotation)
    base: Any = Union[members] if optional else field.annotation  # noqa: UP007  # built at run time
    if _is_table(field):
        base = str
    flag = f"--{dashed}/--no-{dashed}" if base is bool else f"--{dashed}"
    default = field.get_default(call_default_factory=True)
    note = "" if default in (None, []) or "Default: " in (field.description or "") else f" Default: {_shown(default)}."
    information = typer.Option(flag, help=f"{field.description}{note}", show_default=False, rich_help_panel="Settings")
    annotation = Annotated[base | None, information]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _is_table(field: FieldInfo) -> bool:
    """Whether a setting is a table in netra.toml; as an option it is JSON."""
    return get_origin(field.annotation) is dict


def _table(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise ConfigurationError(
            f"--{name.replace('_', '-')} is not JSON.", hint=f"Write it as a table in netra.toml: [{name}]"
        ) from None


def _shown(default: Any) -> str:
    return default if isinstance(default, str) else json.dumps(default, default=str).strip('"')

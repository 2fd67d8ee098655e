"""What `netra dev` can be told, and that being told changes nothing."""

from __future__ import annotations

import os
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import psutil
import pytest

from netra.errors import ConfigurationError
from netra.launcher import LauncherConfig


@pytest.mark.spec("launcher.config")
def test_building_a_configuration_touches_nothing(tmp_path: Path) -> None:
    place = tmp_path / "nowhere"
    before = (os.environ.copy(), Path.cwd(), psutil.Process().children(), psutil.Process().num_fds())
    config = LauncherConfig(directory=place, agents=("my_agents:counter",), postgres=True, nats=True, page=True)
    assert (config.root, config.state_dir, config.checkout) == (place, place / ".netra-dev", None)
    assert (os.environ.copy(), Path.cwd(), psutil.Process().children(), psutil.Process().num_fds()) == before
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FrozenInstanceError):
        config.port = 1  # type: ignore[misc]


@pytest.mark.spec("launcher.config")
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"port": 65536}, "65536 is no port"),
        ({"level": "loud"}, "no level 'loud'"),
        ({"only": ("server", "cook")}, "no process named 'cook'"),
        ({"agents": ("my_agents",)}, "'my_agents' names no agent"),
        ({"postgres": True, "database_url": "sqlite:///x"}, "exclude each other"),
        ({"stop_seconds": 0.5}, "too short"),
    ],
)
def test_what_cannot_work_is_refused_with_what_can(wrong: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=says) as refused:
        LauncherConfig(directory=tmp_path, **wrong)
    assert refused.value.hint


def test_a_project_is_found_from_below(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    below = tmp_path / "agents" / "deep"
    assert LauncherConfig(directory=below).root == tmp_path
    (tmp_path / "src" / "netra").mkdir(parents=True)
    (tmp_path / "src" / "netra" / "__init__.py").touch()
    assert LauncherConfig(directory=below).checkout == tmp_path

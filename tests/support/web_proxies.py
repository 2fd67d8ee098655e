"""nginx and Caddy with the configuration that `deploy/` ships, on a free port before a server under test.

Only names, ports, certificates and the length of timeouts are other than shipped, and each replacement must find what
it replaces. Neither needs root, and everything it writes goes into a directory of the test's.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

import pytest

from . import services
from .ports import free_port

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
SHIPPED_SECONDS = 75
PACKAGES = {"nginx": "nginx-light", "caddy": "caddy", "systemd-analyze": "systemd"}


def program(name: str) -> str:
    """The path of `nginx`, `caddy` or `systemd-analyze`.

    Without it the test is skipped, or fails where NETRA_REQUIRE_PROGRAMS=1 asks for all of them, as continuous
    integration does.
    """
    services.need(services.REAL_SERVICES, name)
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        complain = pytest.fail if os.environ.get("NETRA_REQUIRE_PROGRAMS") == "1" else pytest.skip
        complain(f"no {name}: apt-get install {PACKAGES[name]}")
    return found


def replaced(text: str, pattern: str, by: str) -> str:
    """The text with every match replaced, of which there must be one at least."""
    result, count = re.subn(pattern, by, text, flags=re.MULTILINE)
    assert count, f"the shipped configuration has nothing like {pattern}"
    return result


class WebProxy:
    """One of them. Use it as a context manager.

    Args:
        name: `nginx` or `caddy`.
        server_port: where Netra listens on 127.0.0.1.
        port: where it listens itself.
        seconds: how long who is silent lives, instead of the shipped time.
    """

    def __init__(self, name: str, directory: Path, server_port: int, *, port: int, seconds: int) -> None:
        self._program = program(name)
        self._directory = directory
        self.port = port
        self.base_url = f"http://127.0.0.1:{self.port}"
        self._command, text = (self._nginx if name == "nginx" else self._caddy)()
        text = replaced(text, r"127\.0\.0\.1:8000", f"127.0.0.1:{server_port}")
        text = replaced(text, rf"\b{SHIPPED_SECONDS}s", f"{seconds}s")
        (directory / "shipped").write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def _nginx(self) -> tuple[list[str], str]:
        text = (DEPLOY / "nginx.conf").read_text()
        text = replaced(text, r"^ *ssl_.*\n", "")
        text = replaced(text, r"^ *listen \[::\].*\n", "")
        text = replaced(text, r"listen 443 ssl http2;", f"listen 127.0.0.1:{self.port};")
        text = replaced(text, r"listen 80;", f"listen 127.0.0.1:{free_port()};")
        text = replaced(text, r"server_name netra\.example;", "server_name _;")
        return nginx(self._program, self._directory), text

    def _caddy(self) -> tuple[list[str], str]:
        text = (DEPLOY / "Caddyfile").read_text()
        text = replaced(text, r"^netra\.example \{", f"{self.base_url} {{")
        text = "{\n\tadmin off\n\tauto_https off\n}\n" + text
        return [self._program, "run", "--adapter", "caddyfile", "--config", str(self._directory / "shipped")], text

    def __enter__(self) -> WebProxy:
        home = {"HOME": str(self._directory), "XDG_DATA_HOME": str(self._directory)}
        with (self._directory / "output").open("wb") as output:
            self._process = subprocess.Popen(
                self._command, env={**os.environ, **home}, stdout=output, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.__exit__(None, None, None)
                    raise AssertionError(f"it did not start:\n{self.output}") from None
                time.sleep(0.02)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None:
            error.add_note(f"the proxy's output:\n{self.output[-3000:]}")
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)

    @property
    def output(self) -> str:
        """What it has printed."""
        return (self._directory / "output").read_text(errors="replace")


def nginx(path: str, directory: Path) -> list[str]:
    """The command for an nginx that keeps to `directory`, with the file `shipped` there as its only site."""
    temporary = "\n".join(
        f"    {kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""  # or its worker may not enter a directory of the test's
    main = (
        f"{user}daemon off;\nworker_processes 1;\npid {directory}/pid;\nerror_log stderr warn;\nevents {{}}\n"
        f"http {{\n{temporary}\n    access_log off;\n    include {directory}/shipped;\n}}\n"
    )
    (directory / "nginx.conf").write_text(main)
    return [path, "-p", str(directory), "-c", str(directory / "nginx.conf"), "-e", "stderr"]

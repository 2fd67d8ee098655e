"""Download and unpack the corpora of `corpora.toml` into a directory outside the checkout.

    python benchmarks/compliance/fetch.py [NAME …] [--pin]

A package is downloaded with pip as a wheel, without dependencies, compared with its SHA-256, and its Python files are
unpacked to `DIRECTORY/NAME/package_version/`. What is there already is kept. `--pin` writes the hashes of packages that
have none yet.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPORA = HERE / "corpora.toml"
DIRECTORY = Path(os.environ.get("NETRA_CORPORA", Path(tempfile.gettempdir()) / "netra-corpora"))


def fetch(name: str, *, pin: bool = False) -> Path:
    """The directory of a corpus, filled.

    Raises:
        SystemExit: a package cannot be downloaded, or is not the one that was pinned.
    """
    document = tomllib.loads(CORPORA.read_text())
    target = DIRECTORY / name
    for requirement in document[name]["packages"]:
        home = target / requirement.replace("==", "_").replace(".", "_").replace("-", "_")
        if home.exists():
            continue
        wheel = download(requirement, document["sha256"].get(requirement), pin=pin)
        part = home.with_name(f"{home.name}.part")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(part, [each for each in archive.namelist() if each.endswith((".py", ".pyi"))])
        part.rename(home)
    return target


def download(requirement: str, expected: str | None, *, pin: bool) -> Path:
    """A wheel from the package index."""
    store = DIRECTORY / "wheels" / requirement
    if not list(store.glob("*.whl")):
        store.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        command += ["--ignore-requires-python", "--dest", os.fspath(store), requirement]
        subprocess.run(command, check=True)
    (wheel,) = store.glob("*.whl")
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if expected is None and pin:
        with CORPORA.open("a") as file:
            file.write(f'"{requirement}" = "{found}"\n')
    elif expected != found:
        raise SystemExit(f"{requirement} has SHA-256 {found}, not {expected}.")
    return wheel


def main() -> None:
    """Fetch the named corpora, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--pin", action="store_true")
    options = parser.parse_args()
    names = options.names or [each for each in tomllib.loads(CORPORA.read_text()) if each != "sha256"]
    for name in names:
        print(fetch(name, pin=options.pin))


if __name__ == "__main__":
    main()

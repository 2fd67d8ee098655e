"""No file and no tree stops the checker: it says what it could not read, and checks the rest."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

from netra.compliance import cache
from netra.compliance.config import ConfigError
from netra.compliance.extract import extract
from netra.compliance.outcome import Outcome
from netra.compliance.report import FORMATS, renderer
from netra.compliance.running import Request, check
from netra.compliance.source import MOST_BYTES
from netra.compliance.walk import Tree, find
from support.checking import TWINS, netra
from support.code_base import write

BEFORE, AFTER = b"class Before:\n    pass\n\n\n", b"\n\nclass After:\n    pass\n"
OLD = {
    "print statement": b"print 'x'\nprint >>out, 'y',",
    "print inside": b"def f():\n    print 'x'",
    "exec statement": b"exec code in space",
    "backticks": b"text = `value`",
    "diamond": b"if a <> b:\n    pass",
    "except with a comma": b"try:\n    pass\nexcept ValueError, error:\n    pass",
    "raise with a comma": b"raise ValueError, 'no'",
    "ur string": b"text = ur'x'",
    "octal": b"mode = 0755",
    "long": b"number = 10L",
    "tabs and spaces": b"def f():\n        if a:\n\t    b = 1\n        \tc = 2",
    "tuple parameter": b"def f(a, (b, c)):\n    pass",
    "async as a name": b"async = 1\nfrom x import async",
    "await as a name": b"await = 1",
    "nonlocal as a name": b"nonlocal = 1",
    "star in an index": b"x = y[*]",
    "unfinished string": b"text = 'x",
    "unfinished bracket": b"items = [1,",
    "wrong indent": b"def f():\n    a = 1\n   b = 2",
    "conflict": b"<<<<<<< HEAD\na = 1\n=======\na = 2\n>>>>>>> other",
    "template": b"{% if a %}\nimport {{ name }}\n{% endif %}",
    "shell magic": b"%matplotlib inline\n!ls",
}
NEW = {
    "walrus": b"if (n := len(a)) > 1:\n    pass",
    "positional only": b"def f(a, /, b): ...",
    "match": b"match a:\n    case {'x': [b, *_], **rest} if b:\n        pass",
    "except star": b"try:\n    pass\nexcept* ValueError:\n    pass",
    "type statement": b"type Pair[T] = tuple[T, T]",
    "type parameters": b"def f[T: int, *Ts, **P](a: T) -> T: ...",
    "generic class": b"class Box[T]:\n    item: T",
    "default of a parameter": b"class Box[T = int]: ...",
    "nested quotes": b"text = f'{a['b']!r:>{width}}'",
    "template string": b"text = t'{a}'",
    "except without brackets": b"try:\n    pass\nexcept A, B:\n    pass",
}


@pytest.mark.parametrize("code", [*OLD.values(), *NEW.values()], ids=[*OLD, *NEW])
def test_what_stands_before_and_after_syntax_of_another_python_is_read(code: bytes) -> None:
    facts = extract(BEFORE + code + AFTER)
    names = [each.name for each in facts.classes]
    assert names[0] == "Before"
    assert names[-1] == "After"
    try:
        compile(BEFORE + code + AFTER, "x.py", "exec", dont_inherit=True)
    except SyntaxError:
        # A parser may know more than this Python; what it does not know, it says.
        assert facts.trouble or code in NEW.values()
    else:
        assert not facts.trouble
    assert facts.classes[-1].line == (BEFORE + code + AFTER).count(b"\n", 0, (BEFORE + code).__len__() + 2) + 1


def test_every_syntax_error_is_told_once_and_the_rest_is_checked(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    for number, code in enumerate(OLD.values()):
        (tmp_path / f"shop/old{number}.py").write_bytes(code)
    outcome = check(Request((tmp_path,)))
    rules = [each.rule for each in outcome.report.findings]
    assert rules.count("SSOT901") == len(OLD)
    assert "SSOT303" in rules
    assert {each.severity for each in outcome.report.findings if each.rule == "SSOT901"} == {"warning"}


WORD = "Gr\u00f6\u00dfe"
KANA = "\u30bd\u8868"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (f"# -*- coding: latin-1 -*-\nclass {WORD}: pass\n", "latin-1"),
        (f"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nclass {WORD}: pass\n", "cp1252"),
        (f"# coding: shift_jis\nclass {KANA}: pass\n", "shift_jis"),
        (f"# coding=euc-jp\nclass {KANA}: pass\n", "euc-jp"),
        (f"# coding: iso-2022-jp\nclass {KANA}: pass\n", "iso-2022-jp"),
        (f"# coding: gb18030\nclass {WORD}: pass\n", "gb18030"),
        (f"# coding: utf-7\nclass {WORD}: pass\n", "utf-7"),
        (f"class {WORD}: pass\n", "utf-8"),
        (f"class {WORD}: pass\n", "utf-8-sig"),
        (f"class {WORD}: pass\n", "utf-16"),
        (f"class {WORD}: pass\n", "utf-32"),
        (f"\ufeffclass {WORD}: pass\n", "utf-16-be"),
        (f"class {WORD}: pass\r\n", "utf-8"),
        (f"class {WORD}: pass\r", "utf-8"),
        (f"# coding: no-such-encoding\nclass {WORD}: pass\n", "utf-8"),
        (f"# coding: punycode\nclass {WORD}: pass\n", "utf-8"),
        (f"class {WORD}: pass\n", "latin-1"),
    ],
)
def test_names_are_read_in_the_encoding_of_their_file(text: str, encoding: str) -> None:
    facts = extract(text.encode(encoding))
    assert [each.name for each in facts.classes] == [text.partition("class ")[2].partition(":")[0]]
    assert not facts.trouble


@pytest.mark.parametrize(
    "data",
    [
        b"# coding: unicode_escape\nclass A: pass\nx = '\\ud800\xff'\n",
        b"# coding: utf-7\nclass A: pass\nx = '+2AA-'\n",
        b"# coding: rot13\nclass A: pass\n",
        b"# coding: zlib\nclass A: pass\n",
        b"\xff\xfeclass A: pass\n",
        b"\xef\xbb\xbf\xff\n",
        b"\0" * 5000,
        b"class A: pass\n\0\0\nclass B: pass\n",
        b"\x1a",
        bytes(range(256)) * 20,
        b"__all__ = ['\\ud800']\nsetattr(x, '\\udfff', 1)\nclass A:\n    __slots__ = ('\\udc80',)\n    x = '\\ud8ff'\n",
        b"def f(x: '\\ud800') -> '\\ud800': pass\n",
        b"",
        b"\n",
        b"\\",
        b"x = 1\\",
        b"x = " + b"9" * 5000,
    ],
)
def test_bytes_that_are_no_text_stop_nothing(tmp_path: Path, data: bytes) -> None:
    write(tmp_path, TWINS)
    (tmp_path / "shop/odd.py").write_bytes(data)
    for _ in range(2):
        assert "SSOT303" in [each.rule for each in check(Request((tmp_path,))).report.findings]


DEEP = {
    "1,000 brackets": b"x = " + b"(" * 1000 + b"1" + b")" * 1000,
    "5,000 elif": b"if x == 0:\n    pass\n"
    + b"".join(b"elif x == %d:\n    import m%d\n" % (i, i) for i in range(5000)),
    "5,000 sums": b"x = " + b" + ".join([b"f(1)"] * 5000),
    "50,000 sums": b"x = " + b"+".join([b"1"] * 50_000),
    "20,000 dots": b"x = a" + b".b" * 20_000,
    "20,000 calls": b"x = a" + b"()" * 20_000,
    "20,000 indices": b"x = a" + b"[0]" * 20_000,
    "100,000 signs": b"x = " + b"-" * 100_000 + b"1",
    "100,000 lambdas": b"x = " + b"lambda:" * 100_000 + b"1",
    "5,000 conditions": b"x = " + b"1 if a else " * 5000 + b"1",
    "99 indents": b"".join(b" " * i + b"if x:\n" for i in range(99)) + b" " * 99 + b"pass",
    "1,000 indents": b"".join(b" " * i + b"if x:\n" for i in range(1000)) + b" " * 1000 + b"pass",
    "an annotation": b"def f(x: 'a" + b".b" * 20_000 + b"'): pass",
    "5,000 decorators": b"@a\n" * 5000 + b"def f(): pass",
}


@pytest.mark.parametrize("code", DEEP.values(), ids=DEEP)
def test_deep_nesting_costs_its_statement_at_most(code: bytes) -> None:
    began = time.process_time()
    facts = extract(BEFORE + code + AFTER)
    assert [facts.classes[0].name, facts.classes[-1].name] == ["Before", "After"]
    assert time.process_time() - began < 10


def test_long_chains_of_branches_are_read_to_their_end() -> None:
    assert len(extract(DEEP["5,000 elif"]).imports) == 5000


def test_what_is_read_of_deep_nesting_does_not_depend_on_who_asks() -> None:
    codes = [b"class A: pass\nx = a" + b".b(1)" * length for length in range(80, 500, 30)]

    def deeper(levels: int) -> list[object]:
        return deeper(levels - 1) if levels else [extract(code) for code in codes]

    assert deeper(0) == deeper(600)


def test_a_broken_file_of_many_statements_takes_no_time_to_speak_of() -> None:
    began = time.process_time()
    facts = extract(b"print 'x'\n" + b"".join(b"x%d = %d\n" % (i, i) for i in range(30_000)))
    assert len(facts.assignments) == 30_000
    assert facts.assignments[-1].line == 30_001
    assert time.process_time() - began < 10


def test_a_file_of_which_each_statement_is_broken_takes_no_time_to_speak_of() -> None:
    began = time.process_time()
    for line in (b"print 'x %d'\n", b"@x y %d\n", b"x = (%d\n", b'x%d = """\n'):
        extract(b"".join(line % number for number in range(5000)))
    assert time.process_time() - began < 10


def test_a_generated_file_of_50_megabytes_is_counted_in_little_time_and_memory(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    with (tmp_path / "shop/generated.py").open("wb") as file:
        for _ in range(50):
            file.write(b"x = 1\n" * (1024 * 1024 // 6 + 1))
    program = (
        "import resource, sys, time\n"
        "from pathlib import Path\n"
        "from netra.compliance.running import Request, check\n"
        "check(Request((Path(sys.argv[2]),)))\n"
        "before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()\n"
        "outcome = check(Request((Path(sys.argv[1]),)))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, time.process_time() - began)\n"
        "print(*(each.message for each in outcome.report.findings if each.rule == 'SSOT901'))\n"
    )
    small = tmp_path / "small"
    write(small, TWINS)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), str(small)], capture_output=True, text=True, check=True
    )
    figures, said = done.stdout.splitlines()
    kilobytes, seconds = map(float, figures.split())
    assert f"larger than {MOST_BYTES // 1024 // 1024} MiB" in said
    assert seconds < 10
    assert kilobytes < 40 * 1024


def git(root: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)


def nothing(root: Path) -> None:
    pass


@pytest.mark.parametrize("prepare", [nothing, git])
def test_what_is_no_file_is_passed_by(tmp_path: Path, prepare: Callable[[Path], None]) -> None:
    root = tmp_path / "tree"
    write(root, TWINS)
    prepare(root)
    shop = root / "shop"
    (shop / "loop.py").symlink_to("loop.py")
    (shop / "here").symlink_to(".")
    (shop / "up").symlink_to("..")
    (shop / "gone.py").symlink_to("nowhere.py")
    (shop / "again.py").symlink_to("orders.py")
    (shop / "endless.py").symlink_to("/dev/zero")
    (shop / "pyproject.toml").symlink_to("/dev/zero")
    (shop / "directory.py").mkdir()
    (shop / "directory.py/inner.py").write_text("class Inner: pass\n")
    (shop / "other.py").symlink_to("directory.py")
    os.mkfifo(shop / "pipe.py")
    (tmp_path / "outside.py").write_text("class Outside: pass\n")
    (shop / "link.py").symlink_to(tmp_path / "outside.py")
    with socket.socket(socket.AF_UNIX) as bound:
        os.chdir(shop)  # the path of a socket is short
        bound.bind("socket.py")
        report = check(Request((root,))).report
    assert report.tree.python == (
        "shop/__init__.py",
        "shop/directory.py/inner.py",
        "shop/link.py",
        "shop/orders.py",
        "shop/payments.py",
        "shop/report.py",
    )
    assert "SSOT303" in [each.rule for each in report.findings]
    if prepare is nothing:
        assert {path for path, _ in report.tree.unreadable} == {"shop/pipe.py", "shop/socket.py", "shop/endless.py"}


def test_environments_are_passed_by_and_a_directory_that_is_only_called_like_one_is_not(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "mine/pyvenv.cfg": "",
            "mine/lib/a.py": "",
            "build/lib/b.py": "",
            "env/__init__.py": "",
            "env/c.py": "",
            "shop/d.py": "",
        },
    )
    assert find(tmp_path).python == ("env/__init__.py", "env/c.py", "shop/d.py")
    assert find(tmp_path, [Path("mine")]).python == ("mine/lib/a.py",)


@pytest.fixture(autouse=True)
def _back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path.cwd())


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    tree = find(tmp_path)
    (tmp_path / "shop/report.py").unlink()
    os.mkfifo(tmp_path / "shop/report.py")
    facts = dict(cache.read_tree(tree, lambda what, done, of: None))
    assert facts["shop/report.py"].trouble[0].message == "not a regular file"
    assert facts["shop/orders.py"].classes


NOBODY = 65534


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that another user may enter."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    for path, directories, _ in os.walk(directory):
        for each in directories:
            Path(path, each).chmod(0o755)
    shutil.rmtree(directory)


@contextmanager
def as_somebody() -> Iterator[None]:
    """Be a user for whom permissions count."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("prepare", [nothing, git])
def test_files_and_directories_without_permission_are_told_and_the_rest_is_checked(
    shared: Path, prepare: Callable[[Path], None]
) -> None:
    write(shared, TWINS)
    write(shared, {"shop/secret.py": "x = 1\n", "closed/a.py": "x = 1\n", "listed/inner/a.py": "x = 1\n"})
    (shared / "nested").mkdir()
    prepare(shared)
    (shared / "shop/secret.py").chmod(0)
    (shared / "closed").chmod(0)
    (shared / "listed").chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)  # names can be seen, and nothing behind
    if os.geteuid() == 0:
        for path in [shared, *shared.rglob("*")]:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    for cached in (True, False):
        check(Request((shared / "shop",), cache=False))  # what is imported late is imported now
        with as_somebody():
            outcome = check(Request((shared,), cache=cached))
            with pytest.raises(ConfigError, match="does not exist"):
                check(Request((shared / "closed/a.py",)))
        rules = {each.rule: each.place.path for each in outcome.report.findings}
        assert rules["SSOT901"] == "shop/secret.py"
        assert rules["SSOT303"] == "shop/report.py"
        assert outcome.code == 1
        assert {path for path, _ in outcome.report.unreadable} >= {"closed"}
        assert "closed" in renderer("json")(outcome)


def test_files_that_change_or_vanish_while_they_are_read_are_read_as_they_are_then(tmp_path: Path) -> None:
    write(tmp_path, {"pyproject.toml": "", **{f"pkg/m{number}.py": f"class A{number}: pass\n" for number in range(9)}})
    late = tmp_path / "pkg/z.py"
    late.write_text("class Old: pass\n" * 100)  # the largest is read first, the smallest last
    small = tmp_path / "pkg/small.py"
    small.write_text("s = 1")
    tiny = tmp_path / "pkg/tiny.py"
    tiny.write_text("t")
    tree = find(tmp_path)
    done = []

    def meanwhile(what: str, number: int, of: int) -> None:
        if what == "read files" and not done:
            done.append(number)
            late.write_text("class New: pass\n")
            small.unlink()
            tiny.unlink()
            tiny.mkdir()

    for _ in range(2):
        facts = dict(cache.read_tree(tree, meanwhile, jobs=1, cache=Path(".ssot_cache")))
        assert [each.name for each in facts["pkg/m8.py"].classes] == ["A8"]
    assert [each.name for each in facts["pkg/z.py"].classes] == ["New"]
    assert facts["pkg/small.py"].trouble[0].message == "No such file or directory"
    assert facts["pkg/tiny.py"].trouble


def test_a_tree_that_another_process_writes_to_all_the_time_is_checked(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    program = (
        "import itertools, sys\nfrom pathlib import Path\nroot = Path(sys.argv[1])\nprint(flush=True)\n"
        "for number in itertools.count():\n"
        "    path = root / f'm{number % 7}.py'\n"
        "    if number % 3:\n"
        "        path.write_text(f'class A{number}:\\n    x = {number}\\n' * (number % 50))\n"
        "    else:\n"
        "        path.unlink(missing_ok=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "shop")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as writer:
        try:
            assert writer.stdout is not None
            writer.stdout.readline()
            for _ in range(15):
                rules = [each.rule for each in check(Request((tmp_path,))).report.findings]
                assert "SSOT303" in rules
        finally:
            writer.kill()
    for path in (tmp_path / "shop").glob("m*.py"):
        path.unlink()
    assert described(check(Request((tmp_path,)))) == described(check(Request((tmp_path,), cache=False)))


def described(outcome: Outcome) -> list[tuple[str, str, int, str]]:
    return [(each.rule, each.place.path, each.place.line, each.message) for each in outcome.report.findings]


NAMES = [
    *(b"new\nline.py", b"not\xff\xfeutf8.py", b"esc\x1b[31m.py", b"quote\"'<&>.py", b"sp ace.py", b"-dash.py"),
    *(b"::error::x.py", b"back\\slash.py", "\U0001f40d.py".encode(), b"%0A.py", b"tab\t.py", b"cr\r.py", b".py"),
    b"a.b.py",
]


@pytest.mark.parametrize("prepare", [nothing, git])
def test_names_of_files_may_hold_any_byte_and_no_format_is_broken_by_them(
    tmp_path: Path, prepare: Callable[[Path], None]
) -> None:
    write(tmp_path, TWINS)
    prepare(tmp_path)
    for name in NAMES:
        path = os.path.join(os.fsencode(tmp_path / "shop"), name)  # noqa: PTH118 - of bytes
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(b"from shop.orders import Nothing\nprint 'x'\nclass SessionMetrics:\n    odd = 1\n")
    for _ in range(2):
        outcome = check(Request((tmp_path,)))
        found = [each for each in outcome.report.findings if each.rule == "SSOT202"]
        assert len(found) == len(NAMES)
    for name in FORMATS:
        text = renderer(name)(outcome)
        text.encode("utf-8", "backslashreplace")
        if name in ("text", "markdown", "junit"):  # what people see in a terminal, and what must be XML
            assert "\x1b" not in text
            assert "\r" not in text
        assert not any(line.startswith(("line.py", "::error::x")) for line in text.splitlines())
    json.loads(renderer("json")(outcome))
    json.loads(renderer("sarif")(outcome))
    ElementTree.fromstring(renderer("junit")(outcome))
    for name in ("text", "json", "html"):
        done = netra("check", "--format", name, cwd=tmp_path)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
    assert netra("ssot", "baseline", "write", cwd=tmp_path).returncode == 0
    assert netra("check", cwd=tmp_path).returncode == 0


def test_twenty_thousand_files_are_found_read_and_checked(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    for directory in range(100):
        (tmp_path / f"p{directory}").mkdir()
        for number in range(200):
            (tmp_path / f"p{directory}/m{number}.py").touch()
    began = time.process_time()
    outcome = check(Request((tmp_path,)))
    assert len(outcome.report.tree.python) == 20_000
    assert outcome.code == 0
    assert time.process_time() - began < 30


def test_a_tree_deeper_than_paths_may_be_long_is_checked_as_far_as_it_goes(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    here = os.getcwd()  # noqa: PTH109
    depth = 0
    try:
        os.chdir(tmp_path)
        for depth in range(60):  # noqa: B007
            os.mkdir("d" * 100)  # noqa: PTH102
            os.chdir("d" * 100)
        Path("deep.py").write_text("x = 1\n")
    finally:
        os.chdir(here)
    outcome = check(Request((tmp_path,)))
    assert "SSOT303" in [each.rule for each in outcome.report.findings]
    assert len(outcome.report.tree.unreadable) == 1


def test_trees_are_sorted_whatever_the_order_of_their_directories(tmp_path: Path) -> None:
    names = [f"{letter}/{other}.py" for letter in "zaym" for other in "bxa"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found: Tree = find(tmp_path)
    assert list(found.python) == sorted(names)


@pytest.mark.parametrize(
    "options", [(), ("--since", "HEAD"), ("--history", "history.jsonl")], ids=lambda each: each[:1]
)
def test_what_a_repositorys_configuration_names_is_not_run(tmp_path: Path, options: tuple[str, ...]) -> None:
    root = tmp_path / "theirs"
    write(root, {"pyproject.toml": "", "a.py": "x = 1\n"})
    git(root)
    subprocess.run(["git", "add", "."], cwd=root, check=True)
    subprocess.run("git -c user.name=a -c user.email=a@b commit -qm a", shell=True, cwd=root, check=True)
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    for key in ("core.fsmonitor", "diff.external"):
        subprocess.run(["git", "config", key, program], cwd=root, check=True)
    (root / "a.py").write_text("x = 22\n")
    assert netra("check", *options, cwd=root).returncode == 0
    assert not (tmp_path / "ran").exists()

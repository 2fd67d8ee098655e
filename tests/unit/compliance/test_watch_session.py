"""What a watcher makes again after a change: what read something that changed, and nothing else."""

from __future__ import annotations

import pytest

from netra.compliance.extract import extract
from netra.compliance.glance import function_count
from netra.compliance.project import File, Project, Symbol
from netra.compliance.receivers import receivers
from netra.compliance.session import WatchSession

FILES = {
    "shop/__init__.py": "",
    "shop/base.py": "class Base:\n    count = 1\n",
    "shop/left.py": "from shop.base import Base\nfrom shop.right import Right\n\nclass Left(Base, Right):\n    pass\n",
    "shop/right.py": "from shop.left import Left\n\nclass Right(Left):\n    total = 1\n",
    "shop/user.py": "from shop.left import Left\nfrom shop.gone import Gone\n\nclass User(Left, Gone):\n    pass\n",
    "shop/broken.py": "def broken(:\n",
    "shop/late.py": "from shop.broken import Thing\n\nclass Late(Thing):\n    pass\n",
    "shop/alone.py": "class Alone:\n    names = 1\n",
    "shop/copy.py": "class Alone:\n    names = 1\n",
}
made: list[str] = []


def _around(project: Project, file: File) -> list[str]:
    """What the first class of a file has, and the classes below it."""
    made.append(file.path)
    if not file.facts.classes:
        return []
    symbol = Symbol("class", file, 0)
    below = [each.shape.name for each in receivers(project).descendants(symbol)]
    return [*project.members(symbol), *below]


def _classes(file: File) -> list[tuple[str, int]]:
    return [(each.name, index) for index, each in enumerate(file.facts.classes)]


def _paths(project: Project, name: str) -> list[str]:
    made.append(name)
    return [file.path for file, _ in project.table(_classes).get(name)]


def _whole(project: Project) -> int:
    return len(project.files)


def _asks_for_all(project: Project, name: str) -> int:
    return project.once(_whole)


class Watched:
    """Files in memory that a session follows."""

    def __init__(self) -> None:
        self.session = WatchSession()
        self.texts = dict(FILES)
        self.facts = {path: extract(text.encode()) for path, text in FILES.items()}

    def change(self, path: str, text: str) -> None:
        self.texts[path] = text
        self.facts[path] = extract(text.encode())

    def project(self) -> Project:
        read = sorted(self.facts.items())
        return self.session.project(read, (), lambda: Project(read, memory=self.session))

    def said(self) -> tuple[dict[str, list[str]], list[str]]:
        """What comes out of each file, and what was made for it."""
        made.clear()
        found = {file.path: value for file, value in self.project().by_file(_around)}
        return found, sorted(made)

    def fresh(self) -> dict[str, list[str]]:
        project = Project([(path, extract(text.encode())) for path, text in sorted(self.texts.items())])
        return {file.path: value for file, value in project.by_file(_around)}


def test_only_what_read_a_change_is_made_again() -> None:
    watched = Watched()
    assert watched.said() == (watched.fresh(), sorted(FILES))
    assert watched.said() == (watched.fresh(), [])
    watched.change("shop/alone.py", "class Alone:\n    names = 1\n    more = 1\n")
    assert watched.said() == (watched.fresh(), ["shop/alone.py"])


def test_what_was_read_on_the_way_reaches_everybody_who_asked_first_or_later() -> None:
    watched = Watched()
    watched.said()
    watched.change("shop/base.py", "class Base:\n    count = 1\n    added = 1\n")
    found, again = watched.said()
    assert found == watched.fresh()
    assert "added" in found["shop/user.py"]
    assert again == ["shop/base.py", "shop/left.py", "shop/right.py", "shop/user.py"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("shop/right.py", "class Right:\n    total = 1\n    opened = 1\n"),
        ("shop/left.py", "from shop.right import Right\n\nclass Left(Right):\n    pass\n"),
        ("shop/base.py", "from shop.right import Right\n\nclass Base(Right):\n    count = 1\n"),
        ("shop/user.py", "from shop.right import Right\n\nclass User(Right):\n    pass\n"),
        ("shop/broken.py", "class Thing:\n    thing = 1\n"),
        ("shop/alone.py", "from shop.user import User\n\nclass Alone(User):\n    pass\n"),
    ],
)
def test_circles_of_classes_and_names_that_are_not_known_are_read_too(path: str, text: str) -> None:
    watched = Watched()
    watched.said()
    for now in (text, FILES[path], text):
        watched.change(path, now)
        assert watched.said()[0] == watched.fresh()


def test_a_copy_keeps_what_it_has_when_the_other_changes() -> None:
    watched = Watched()
    facts = extract(FILES["shop/copy.py"].encode())
    watched.facts |= {"shop/copy.py": facts, "shop/alone.py": facts}
    watched.said()
    watched.change("shop/copy.py", "def other():\n    pass\n\nclass Alone:\n    gone = 1\n")
    found, again = watched.said()
    assert found == watched.fresh()
    assert again == ["shop/copy.py"]
    project = watched.project()
    assert [*project.by_path["shop/alone.py"].names] == ["Alone"]
    assert [*project.by_path["shop/copy.py"].names] == ["Alone", "other"]
    assert function_count(project.by_path["shop/copy.py"]) == 1
    assert function_count(project.by_path["shop/alone.py"]) == 0


def test_what_is_made_of_a_name_is_kept_until_its_rows_change() -> None:
    watched = Watched()
    made.clear()
    for name in ("Alone", "Base", "Alone"):
        watched.project().by_name(_paths, name)
    assert made == ["Alone", "Base"]
    watched.change("shop/user.py", "class Alone:\n    pass\n")
    made.clear()
    assert watched.project().by_name(_paths, "Alone") == ["shop/alone.py", "shop/copy.py", "shop/user.py"]
    assert watched.project().by_name(_paths, "Base") == ["shop/base.py"]
    assert made == ["Alone"]
    with pytest.raises(TypeError, match="asks for the whole"):
        watched.project().by_name(_asks_for_all, "Base")

"""SSOT502: an import that a contract forbids."""

from __future__ import annotations

from pathlib import Path

from netra.compliance.check import run
from netra.compliance.config import load
from support.code_base import check, ids, one, write

FILES = {"shop/__init__.py": "", "shop/core.py": "x = 1", "shop/web.py": "x = 1", "shop/glue.py": "x = 1"}


def forbid(**more: object) -> dict[str, object]:
    return {"select": ["SSOT502"], "forbidden": [{"source": ["shop.core"], "target": ["shop.web"], **more}]}


def test_a_direct_import_is_reported(tmp_path: Path) -> None:
    found = one(check(tmp_path, {**FILES, "shop/core.py": "import shop.web\n"}, forbid()), "SSOT502")
    assert "`shop.core` may not import `shop.web`" in found.message


def test_an_indirect_import_is_reported_unless_only_direct_ones_are_forbidden(tmp_path: Path) -> None:
    files = {**FILES, "shop/core.py": "import shop.glue\n", "shop/glue.py": "import shop.web\n"}
    assert "through 1 other" in one(check(tmp_path, files, forbid()), "SSOT502").message
    assert ids(check(tmp_path, files, forbid(**{"direct-only": True}))) == []


def test_another_distribution_can_be_forbidden(tmp_path: Path) -> None:
    files = {**FILES, "shop/core.py": "from flask.json import dumps\n"}
    assert "`flask.json`" in one(check(tmp_path, files, forbid(target=["flask"])), "SSOT502").message
    assert ids(check(tmp_path, files, forbid(target=["flask_login"]))) == []


def test_stars_stand_for_components_of_names(tmp_path: Path) -> None:
    files = {"shop/__init__.py": "", "shop/a/__init__.py": "", "shop/a/models.py": "import shop.b.views\n"}
    files |= {"shop/b/__init__.py": "", "shop/b/views.py": "x = 1", "shop/models.py": "import shop.b.views\n"}
    one_level = forbid(source=["shop.*.models"], target=["shop.*.views"])
    assert one(check(tmp_path, files, one_level), "SSOT502").place.path == "shop/a/models.py"
    any_level = forbid(source=["shop.**"], target=["shop.*.views"])
    assert {each.place.path for each in check(tmp_path, files, any_level).findings} == {
        "shop/a/models.py",
        "shop/models.py",
    }


def test_contracts_of_import_linter_are_read_from_its_own_file(tmp_path: Path) -> None:
    text = (
        "[importlinter]\nroot_package = shop\n\n[importlinter:contract:one]\nname = Theirs\ntype = forbidden\n"
        "source_modules =\n    shop.core\nforbidden_modules =\n    shop.web\n    shop.glue\n"
    )
    write(tmp_path, {**FILES, ".importlinter": text, "shop/core.py": "import shop.glue\n"})
    assert "Theirs" in one(run(tmp_path, load(tmp_path)), "SSOT502").message


def test_modules_of_tach_may_import_what_they_declare(tmp_path: Path) -> None:
    tach = """
        [[modules]]
        path = "shop.core"
        depends_on = [{path = "shop.glue"}]
        [[modules]]
        path = "shop.glue"
        [[modules]]
        path = "shop.web"
        depends_on = []
        """
    files = {**FILES, "tach.toml": tach, "shop/core.py": "import shop.glue\nimport shop.web\n"}
    write(tmp_path, files | {"shop/glue.py": "import shop.web\n"})
    found = one(run(tmp_path, load(tmp_path)), "SSOT502")
    assert "`shop.core` does not declare that it depends on `shop.web`" in found.message


def test_the_fingerprint_is_of_the_two_modules(tmp_path: Path) -> None:
    def fingerprint(directory: str, files: dict[str, str]) -> str:
        return one(check(tmp_path / directory, {**FILES, **files}, forbid()), "SSOT502").fingerprint

    known = fingerprint("a", {"shop/core.py": "import shop.web\n"})
    assert fingerprint("b", {"shop/core.py": "import os\nfrom shop import web\n"}) == known
    files = {"shop/core.py": "x = 1\n", "shop/core/__init__.py": "", "shop/core/more.py": "import shop.web\n"}
    assert fingerprint("c", files) != known

"""
The house stays a house: closed lists of rooms, no attics, and a sign on every door.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = sorted(path for path in (ROOT / "services").iterdir() if (path / "__init__.py").exists())

ROOMS = {
    "__init__",
    "__main__",
    "app",
    "clients",
    "consumers",
    "domain",
    "errors",
    "migrations",
    "ports",
    "repository",
    "settings",
    "tables",
    "usecases",
}
"""A new kind of room is one word here and in the import contract of pyproject.toml, and a decision record."""

ATTICS = {"utils", "util", "common", "helpers", "helper", "misc", "lib"}
"""A thing is named after what it is; what nobody can name has no place."""

SAYINGS = ("owns", "publish", "consume", "never")
"""What a service's docstring must say, as the beginning of a word."""


def strange_rooms(service: Path) -> list[str]:
    found = {path.stem if path.suffix == ".py" else path.name for path in _modules_and_packages(service)}
    return sorted(found - ROOMS)


def _modules_and_packages(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.suffix == ".py" or (path.is_dir() and path.name != "__pycache__"):
            yield path


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_every_module_directly_in_a_service_has_a_permitted_name(service: Path) -> None:
    assert strange_rooms(service) == []


def test_a_module_called_utils_is_seen(tmp_path: Path) -> None:
    (tmp_path / "usecases").mkdir()
    (tmp_path / "app.py").touch()
    (tmp_path / "utils.py").touch()
    assert strange_rooms(tmp_path) == ["utils"]


def test_there_is_no_attic_anywhere() -> None:
    attics = [
        str(path.relative_to(ROOT))
        for top in ("deploy", "gateway", "services", "shared")
        for path in (ROOT / top).rglob("*")
        if (path.suffix == ".py" or path.is_dir()) and path.stem in ATTICS
    ]
    assert attics == []


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_the_docstring_of_a_service_says_what_it_owns_publishes_consumes_and_never_does(service: Path) -> None:
    docstring = ast.get_docstring(ast.parse((service / "__init__.py").read_text(encoding="utf-8"))) or ""
    words = docstring.lower().split()
    missing = [saying for saying in SAYINGS if not any(word.startswith(saying) for word in words)]
    assert missing == [], f"services/{service.name}/__init__.py does not say: {missing}"


def test_a_service_starts_nothing_when_it_is_imported() -> None:
    # The package is a sign on the door; whoever imports one room does not get all of them.
    for service in SERVICES:
        statements = ast.parse((service / "__init__.py").read_text(encoding="utf-8")).body
        assert len(statements) == 1, f"services/{service.name}/__init__.py holds more than its docstring"


def test_nothing_that_runs_for_real_imports_what_is_made_for_tests() -> None:
    importers = [
        str(path.relative_to(ROOT))
        for top in ("deploy", "gateway", "services", "shared")
        for path in (ROOT / top).rglob("*.py")
        if not path.is_relative_to(ROOT / "shared" / "testing") and "shared.testing" in path.read_text(encoding="utf-8")
    ]
    assert importers == []

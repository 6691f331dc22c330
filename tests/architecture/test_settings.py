"""
Every setting explains itself, and is found under the prefix of its process.
"""

import importlib
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

ROOT = Path(__file__).parents[2]
OWNERS = sorted(
    path.parent.relative_to(ROOT).as_posix().replace("/", ".")
    for top in (ROOT / "gateway", ROOT / "services")
    for path in top.rglob("settings.py")
)


def settings_of(owner: str) -> type[BaseSettings]:
    module = importlib.import_module(f"{owner}.settings")
    found = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, BaseSettings) and kind.__module__ == module.__name__
    ]
    assert len(found) == 1, f"{owner} has {len(found)} settings classes"
    return found[0]


def test_every_process_has_settings() -> None:
    services = {path.name for path in (ROOT / "services").iterdir() if (path / "app.py").exists()}
    assert {f"services.{name}" for name in services} <= set(OWNERS)


@pytest.mark.parametrize("owner", OWNERS)
def test_every_setting_has_a_description(owner: str) -> None:
    fields = settings_of(owner).model_fields
    silent = [name for name, field in fields.items() if not (field.description or "").strip()]
    assert silent == []


@pytest.mark.parametrize("owner", OWNERS)
def test_the_prefix_is_the_name_of_the_process_and_is_documented(owner: str) -> None:
    settings = settings_of(owner)
    prefix = owner.rpartition(".")[2].upper() + "_"
    assert settings.model_config.get("env_prefix") == prefix
    assert f"`{prefix}" in (settings.__doc__ or "")


@pytest.mark.parametrize("owner", OWNERS)
def test_what_could_open_a_door_is_not_shown_when_settings_are_printed(owner: str) -> None:
    # A setting that holds a secret itself, rather than the place of one, must be a SecretStr or be left out of repr.
    words = {"password", "secret", "pepper", "token", "passphrase", "key"}
    open_ones = [
        name
        for name, field in settings_of(owner).model_fields.items()
        if words & set(name.split("_"))
        and not name.endswith(("_file", "_folder"))
        and field.repr
        and "Secret" not in str(field.annotation)
    ]
    assert open_ones == []

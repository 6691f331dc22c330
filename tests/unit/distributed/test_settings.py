"""
Where a process' settings come from, and who may see them.
"""

from pathlib import Path

import pytest

from deploy.composition import PROCESSES, SERVICES, settings_class
from deploy.distributed.servers import secrets_of_others
from deploy.distributed.settings import Given, database_urls, variables_of
from deploy.embedded.errors import NodeError
from deploy.embedded.home import Home, init_home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    init_home(tmp_path / "home", node_id="H43", port=8443, public_url="https://truc.example.vn")
    return Home(tmp_path / "home")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for process in PROCESSES:
        for variable in variables_of(process):
            monkeypatch.delenv(variable, raising=False)


def test_the_folder_of_the_node_gives_what_nobody_else_has_given(home: Home) -> None:
    given = Given("registry", home)
    assert given.node_id == "H43"
    assert given.blob_folder == home.blobs
    assert set(given.values()) == {"node_id", "public_url", "pepper", "webhook_key"}


def test_only_signing_is_told_where_the_keys_are(home: Home) -> None:
    told = {process for process in PROCESSES if "key_file" in Given(process, home).values()}
    assert told == {"signing"}


def test_only_the_registry_is_told_its_secrets(home: Home) -> None:
    told = {process for process in PROCESSES if {"pepper", "webhook_key"} & set(Given(process, home).values())}
    assert told == {"registry"}


def test_a_variable_of_the_process_is_stronger_than_the_one_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AXIS_BROKER_URL", "amqp://all")
    monkeypatch.setenv("ROUTING_BROKER_URL", "amqp://routing")
    assert Given("routing").broker_url == "amqp://routing"
    assert Given("delivery").broker_url == "amqp://all"


def test_a_variable_is_stronger_than_the_folder_of_the_node(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTING_NODE_ID", "H44")
    monkeypatch.setenv("AXIS_PUBLIC_URL", "https://khac.example.vn")
    given = Given("routing", home)
    assert given.node_id == "H44"
    assert given.public_url == "https://khac.example.vn"
    settings = settings_class("routing")(**given.values(), database_url="postgresql+asyncpg://routing@/axis")
    assert settings.model_dump()["node_id"] == "H44"
    assert settings.model_dump()["public_url"] == "https://khac.example.vn"


def test_a_file_of_the_folder_of_secrets_gives_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "audit_database_url").write_text("postgresql+asyncpg://audit:x@db/axis\n")
    (secrets / "audit_broker_url").write_text("amqp://audit:x@rabbit/axis\n")
    monkeypatch.setenv("AXIS_SECRETS_FOLDER", str(secrets))
    given = Given("audit")
    assert given.database_url == "postgresql+asyncpg://audit:x@db/axis"
    assert given.values()["database_url"] == "postgresql+asyncpg://audit:x@db/axis"
    assert given.broker_url == "amqp://audit:x@rabbit/axis"


@pytest.mark.parametrize("what", ["node_id", "broker_url", "database_url", "blob_folder"])
def test_what_is_missing_is_named(what: str) -> None:
    with pytest.raises(NodeError) as caught:
        getattr(Given("routing"), what)
    named = "AXIS_BLOB_FOLDER" if what == "blob_folder" else f"ROUTING_{what.upper()}"
    assert named in caught.value.problem


def test_a_value_that_cannot_be_is_named_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTING_HEALTH_PORT", "geheim")
    with pytest.raises(NodeError) as caught:
        Given("routing")
    assert "ROUTING_HEALTH_PORT" in caught.value.problem
    assert "geheim" not in str(caught.value)


def test_the_database_is_named_for_every_service_or_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTING_DATABASE_URL", "postgresql+asyncpg://routing@/axis")
    with pytest.raises(NodeError):
        database_urls(None)
    for service in SERVICES:
        monkeypatch.setenv(f"{service.upper()}_DATABASE_URL", f"postgresql+asyncpg://{service}@/axis")
    assert set(database_urls(None)) == set(SERVICES)


def test_a_process_gets_no_variable_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("REGISTRY_PEPPER", "SIGNING_DATABASE_URL", "AXIS_DATABASE_ADMIN_URL", "ROUTING_LANE_WINDOW"):
        monkeypatch.setenv(variable, "1")
    hidden = secrets_of_others("routing")
    assert {"REGISTRY_PEPPER", "SIGNING_DATABASE_URL", "AXIS_DATABASE_ADMIN_URL"} <= hidden
    assert "ROUTING_LANE_WINDOW" not in hidden

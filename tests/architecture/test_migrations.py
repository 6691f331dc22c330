"""
A migration leaves a schema that the release before it can work with.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MIGRATIONS = sorted((ROOT / "services").glob("*/migrations/versions/*.py"))

NARROWING = (
    (re.compile(r"\bDROP\s+(TABLE|COLUMN|SCHEMA|TYPE|VIEW|FUNCTION)\b", re.IGNORECASE), "takes something away"),
    (re.compile(r"\bRENAME\b", re.IGNORECASE), "renames"),
    (re.compile(r"\bSET\s+NOT\s+NULL\b", re.IGNORECASE), "forbids what the release before writes"),
    (re.compile(r"\bALTER\s+COLUMN\s+\w+\s+(SET\s+DATA\s+)?TYPE\b", re.IGNORECASE), "changes a type"),
    (re.compile(r"\bADD\s+(CONSTRAINT|CHECK|UNIQUE)\b", re.IGNORECASE), "forbids what the release before writes"),
    (
        re.compile(r"\bADD\s+COLUMN\b(?=[^,;]*\bNOT\s+NULL\b)(?![^,;]*\b(DEFAULT|GENERATED)\b)", re.IGNORECASE),
        "needs a value that the release before does not write",
    ),
)
"""What the release before cannot live with, unless it has stopped using the thing already."""


def findings(source: str) -> list[str]:
    """
    What is wrong with a migration.
    """
    tree = ast.parse(source)
    names = {
        target.id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    before = names.get("down_revision")
    if before is None:
        return []  # the first one finds an empty schema
    found = []
    if "oldest_reader" not in names:
        found.append("does not say its oldest_reader")
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    narrows = {why for text in texts for pattern, why in NARROWING if pattern.search(text)}
    if narrows and not names.get("narrows"):
        found += sorted(narrows)
    if names.get("narrows") and names.get("oldest_reader") != before:
        found.append(f"narrows, so only releases from {before} on can read it")
    return found


@pytest.mark.parametrize("migration", MIGRATIONS, ids=lambda path: f"{path.parts[-4]}-{path.stem}")
def test_the_release_before_can_work_with_what_a_migration_leaves(migration: Path) -> None:
    assert findings(migration.read_text(encoding="utf-8")) == []


HEAD = 'revision = "0002"\ndown_revision = "0001"\noldest_reader = "0001"\n'


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE a.b ADD COLUMN c text",
        "ALTER TABLE a.b ADD COLUMN c text NOT NULL DEFAULT ''",
        "CREATE INDEX CONCURRENTLY d ON a.b (c)",
        "DROP INDEX a.d",
        "CREATE TABLE a.e (f text NOT NULL)",
    ],
)
def test_adding_is_allowed(statement: str) -> None:
    assert findings(f"{HEAD}def upgrade():\n    op.execute({statement!r})\n") == []


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE a.b DROP COLUMN c",
        "DROP TABLE a.b",
        "ALTER TABLE a.b RENAME COLUMN c TO d",
        "ALTER TABLE a.b ALTER COLUMN c SET NOT NULL",
        "ALTER TABLE a.b ALTER COLUMN c TYPE bigint",
        "ALTER TABLE a.b ADD COLUMN c text NOT NULL",
        "ALTER TABLE a.b ADD CONSTRAINT d CHECK (c > 0)",
    ],
)
def test_narrowing_takes_a_release_of_its_own(statement: str) -> None:
    source = f"{HEAD}def upgrade():\n    op.execute({statement!r})\n"
    assert findings(source) != []
    assert findings(source + "narrows = True\n") == []
    assert findings(source.replace('oldest_reader = "0001"', 'oldest_reader = "0000"') + "narrows = True\n") != []


def test_a_migration_says_who_can_read_what_it_leaves() -> None:
    assert findings('revision = "0002"\ndown_revision = "0001"\n') == ["does not say its oldest_reader"]

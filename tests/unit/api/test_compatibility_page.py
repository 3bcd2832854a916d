"""docs/api-compatibility.md names every operation served, every member refused and every error code."""

import re
from pathlib import Path

from strongroom.api import _errors, _requests
from strongroom.api._kms import NOT_SERVED_YET, OPERATIONS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "api-compatibility.md").read_text()
SOURCES = [path.read_text() for path in (ROOT / "src" / "strongroom" / "api").glob("*.py")]


def _rows(heading):
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]


def test_the_table_of_operations_is_the_one_in_the_code():
    assert {row.strip("| `") for row in _rows("Operations served")} == set(OPERATIONS)
    assert f"The other {len(NOT_SERVED_YET)} operations" in PAGE


def test_the_table_of_errors_has_every_code_that_the_room_can_answer():
    raised = {code for source in SOURCES for code in re.findall(r'"([A-Z][A-Za-z]+Exception)"', source)}
    assert {rule.code for rule in _errors.ERROR_RULES} <= raised
    assert {row.strip("| `") for row in _rows("Errors")} == raised


def test_the_table_of_refused_members_has_every_member_that_is_refused():
    sources = "".join(path.read_text() for path in Path(_requests.__file__).parent.glob("_requests*.py"))
    refused = set(re.findall(r'refuse_\w+\(\s*"(\w+)"', sources)) | {
        "EncryptionAlgorithm",
        "SourceEncryptionAlgorithm",
        "DestinationEncryptionAlgorithm",
        "KeyUsage",
        "SigningAlgorithm",
    }
    assert {name for row in _rows("Members refused") for name in re.findall(r"`(\w+)`", row)} == refused

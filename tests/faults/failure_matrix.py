"""Reads failure_matrix.toml and renders docs/failure-matrix.md: ``python -m faults.failure_matrix``, in the folder tests."""

import ast
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

_ROOT = Path(__file__).parents[2]
PAGE = _ROOT / "docs" / "failure-matrix.md"
_HEAD = """# How HSMs fail, and what becomes of it

Each row is a way in which HSMs and their PKCS#11 modules failed somebody in the field, what Strongroom does about it, and the
tests that show it. Most of them run on a real token behind a fault module (`tests/faults/shim.c`), which makes the failure;
some on a real link that is cut and frozen (`p11-kit server`). This page is generated from `tests/faults/failure_matrix.toml`.

| | Symptom | Cause | What Strongroom does | Shown by |
|---|---|---|---|---|
"""


class Row(NamedTuple):
    """One way to fail."""

    id: str
    symptom: str
    cause: str
    answer: str
    tests: tuple[str, ...] = ()
    untested: str = ""
    """Why it cannot be tested here; only where ``tests`` is empty."""


def rows() -> list[Row]:
    """The matrix. Raises TypeError for a row with fields that there are not."""
    table = tomllib.loads(Path(__file__).with_name("failure_matrix.toml").read_text())
    return [Row(**{**row, "tests": tuple(row.get("tests", ()))}) for row in table["row"]]


@cache
def functions_named_test_in(file: str) -> frozenset[str]:
    """The names of the test functions of a file, by its path below the project; empty where there is none."""
    path = _ROOT / file
    if not path.is_file():
        return frozenset()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = (node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, functions))
    return frozenset(name for name in found if name.startswith("test_"))


def _shown(row: Row) -> str:
    if not row.tests:
        return f"not tested: {row.untested}"
    return "<br>".join(f"`{test.removeprefix('tests/')}`" for test in row.tests)


def render() -> str:
    """The text of the page."""
    lines = (f"| {row.id} | {row.symptom} | {row.cause} | {row.answer} | {_shown(row)} |" for row in rows())
    return _HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render())

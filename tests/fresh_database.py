"""New databases for tests: Alembic makes one in a test run, and each test gets a copy."""

import functools
import tempfile
from pathlib import Path

from strongroom.storage import create_database


@functools.cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        create_database(path)
        return path.read_bytes()


def fresh_database(path: Path) -> None:
    """Put there what ``create_database`` makes, in a hundredth of its time; nothing may be there yet."""
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(_empty())

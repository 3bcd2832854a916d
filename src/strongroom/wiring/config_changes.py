"""What the audit log says of the configuration: which file it was, and which settings a reload changed. Never a value."""

import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from strongroom.config import Config, Home

_MOST_NAMES: Final = 20


def config_sha256(home: Home) -> str:
    """Return the SHA-256 of ``strongroom.toml``, as ``sha256sum`` shows it; an empty text when it cannot be read."""
    try:
        return hashlib.sha256(home.config_file.read_bytes()).hexdigest()
    except OSError:
        return ""


def changed_settings(before: Config, after: Config) -> str:
    """Name the settings that differ, such as ``quotas.principals, service.port``: at most 20, then how many more."""
    names = _changed("", msgspec.to_builtins(before), msgspec.to_builtins(after))
    told = list(islice(names, _MOST_NAMES))
    more = sum(1 for _ in names)
    return ", ".join([*told, *([f"{more} more"] if more else [])])


def _changed(prefix: str, before: object, after: object) -> Iterator[str]:
    before, after = (before or {}, after or {}) if isinstance(before or after, dict) else (before, after)
    if isinstance(before, dict) and isinstance(after, dict):  # a section that is not there holds its defaults
        for name in sorted({*before, *after}):
            yield from _changed(f"{prefix}.{name}" if prefix else name, before.get(name), after.get(name))
    elif before != after:
        yield prefix

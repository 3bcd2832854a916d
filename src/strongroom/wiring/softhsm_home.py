"""Keeps a home's SoftHSM configuration pointing at the home's own tokens, wherever the home was copied to.

SoftHSM wants an absolute path in its configuration. Without this a copied home would go on with the tokens of
the original, and write into them.
"""

from pathlib import Path

from strongroom.core import MemberFailedError
from strongroom.hsm.token import write_softhsm_config

_MAX_BYTES = 64 * 1024
_SETTING = "directories.tokendir"


def keep_softhsm_config(conf_path: Path, store: Path) -> bool:
    """Write the configuration anew where it names another token folder than ``store``; returns whether it did.

    Left alone is one that names ``store``, whatever else it sets, and one of a home that has no such folder: its
    tokens lie elsewhere on purpose, or are gone. Raises ConfigError when SoftHSM cannot express the path, and
    MemberFailedError when the disk refuses.
    """
    if not store.is_dir():
        return False
    try:
        if _named_store(conf_path) == str(store):
            return False
        write_softhsm_config(conf_path, store)
    except OSError as error:
        raise MemberFailedError(f"cannot write {conf_path}: {error.strerror}") from error
    return True


def _named_store(conf_path: Path) -> str | None:
    """The last token folder that the configuration sets, as SoftHSM reads it: ``name = value``, ``#`` a comment."""
    try:
        with conf_path.open("rb") as file:
            text = file.read(_MAX_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    named = None
    for line in text.splitlines():
        name, _, value = line.partition("#")[0].partition("=")
        if name.strip() == _SETTING:
            named = value.strip()
    return named

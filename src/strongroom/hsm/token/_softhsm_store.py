"""Protection of SoftHSM's files, which SoftHSM itself truncates and rewrites in place and never syncs.

Every C_Login rewrites ``token.object``; a process killed at that moment leaves the file empty, and SoftHSM then
takes the whole token for uninitialised. So a copy of the last whole ``token.object`` is kept beside the token
directory (inside it SoftHSM would take it for an object)::

    tokens/<token>/token.object                        SoftHSM's
    tokens.protected/<token>/token.object.protected    ours

Layout of an object file as SoftHSM 2.6 writes it, big endian: generation (8 bytes), then per attribute its type
(8), its kind (8: 1 boolean, 2 number, 3 byte string) and its value: 1 byte; 8 bytes; length (8) and that many
bytes. ``token.object`` has no other kinds.
"""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from strongroom.core import ConfigError, random_bytes

_MAX_FILE_BYTES = 1 << 20
_LOOKS = 5
_LOOK_PAUSE_S = 0.02
_BOOLEAN, _NUMBER, _BYTES = 1, 2, 3
_FLAGS, _USER_PIN = 0x8000534B, 0x8000534D
_REQUIRED = frozenset({0x80005349, 0x8000534A, _FLAGS, 0x8000534C})
"""SoftHSM's attributes for token label, serial number, flags and security officer PIN."""
_HAS_USER_PIN = 0x8
"""CKF_USER_PIN_INITIALIZED among the flags."""


class StoreReport(NamedTuple):
    """What ``protect_softhsm_store`` did, as names of token folders."""

    copied: tuple[str, ...]
    """The protected copy is what ``token.object`` is now. Not taken of a token without a user PIN."""
    restored: tuple[str, ...]
    """``token.object`` was not whole, and the protected copy was put back."""
    lost: tuple[str, ...]
    """``token.object`` is not whole and there is no protected copy: the token never finished its first start."""


def protect_softhsm_store(token_dir: Path) -> StoreReport:
    """Repair or copy the ``token.object`` of every token below ``token_dir``. Call it before C_Initialize.

    Another process may be logging in at this very moment, so a file counts as broken only when it stays so
    for 0.1 s. A directory that does not exist holds no tokens. Raises OSError when the disk refuses.
    """
    copied, restored, lost = [], [], []
    folders = sorted(path for path in token_dir.iterdir() if path.is_dir()) if token_dir.is_dir() else []
    for folder in folders:
        live, protected = folder / "token.object", _protected_path(token_dir, folder.name)
        content = _read_when_whole(live)
        kept = _read_bounded(protected)
        if content is not None and has_user_pin(content):
            if content != kept:
                protected.parent.parent.mkdir(mode=0o700, exist_ok=True)
                protected.parent.mkdir(mode=0o700, exist_ok=True)
                _replace(protected, content)
            copied.append(folder.name)
        elif content is not None:
            continue  # initialised by its security officer and never given a user: nothing that a copy could save
        elif is_whole_token_object(kept):
            _replace(live, kept)
            restored.append(folder.name)
        else:
            lost.append(folder.name)
    return StoreReport(tuple(copied), tuple(restored), tuple(lost))


def sync_softhsm_store(token_dir: Path) -> None:
    """Force every file and folder below ``token_dir`` to the disk. Call it after objects were created.

    Only then does a created key survive a power cut. What another process destroys meanwhile is passed over. Raises OSError
    when the disk refuses.
    """
    for folder, _, files in os.walk(token_dir, topdown=False):
        for name in files:
            with suppress(FileNotFoundError):
                _sync(Path(folder, name))
        _sync(Path(folder))
    _sync(token_dir.parent)


def write_softhsm_config(conf_path: Path, token_dir: Path) -> None:
    """Write the file that SOFTHSM2_CONF must name, and make the token directory (0700).

    Raises ConfigError when SoftHSM's configuration cannot express the path.
    """
    text = str(token_dir)
    if not token_dir.is_absolute() or text != text.strip() or not text.isprintable() or "#" in text:
        raise ConfigError(f"SoftHSM cannot keep tokens in {text!r}", next_step="use a plain absolute path")
    token_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = (
        f"directories.tokendir = {text}",
        "objectstore.backend = file",
        "log.level = ERROR",
        "slots.removable = false",
    )
    _replace(conf_path, "".join(f"{line}\n" for line in lines).encode())


def is_whole_token_object(content: bytes) -> bool:
    """Whether these bytes are one complete ``token.object`` with everything that makes it a token.

    The user's PIN is the last attribute, so a file that was cut before it looks whole; but its flags say that
    the token has one.
    """
    found = _attributes(content)
    if not found.keys() >= _REQUIRED:
        return False
    return _USER_PIN in found or not int.from_bytes(found[_FLAGS], "big") & _HAS_USER_PIN


def has_user_pin(content: bytes) -> bool:
    """Whether these bytes are a complete ``token.object`` of a token that a user can log in to."""
    return is_whole_token_object(content) and _USER_PIN in _attributes(content)


def _attributes(content: bytes) -> dict[int, bytes]:
    """Split an object file into attributes by type; none when it ends in the middle of one."""
    found = {}
    view = memoryview(content)[8:]
    while view:
        kind, rest = int.from_bytes(view[8:16], "big"), view[16:]
        size = {_BOOLEAN: 1, _NUMBER: 8, _BYTES: 8 + int.from_bytes(rest[:8], "big")}.get(kind)
        if size is None or len(rest) < size:
            return {}
        found[int.from_bytes(view[:8], "big")] = bytes(rest[:size])
        view = rest[size:]
    return found


def _read_when_whole(path: Path) -> bytes | None:
    for look in range(_LOOKS):
        if look:
            time.sleep(_LOOK_PAUSE_S)
        content = _read_bounded(path)
        if is_whole_token_object(content):
            return content
    return None


def _read_bounded(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES)
    except FileNotFoundError:
        return b""


def _protected_path(token_dir: Path, token_folder: str) -> Path:
    return token_dir.with_name(f"{token_dir.name}.protected") / token_folder / "token.object.protected"


def _replace(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path`` so that a crash leaves the old file or the new one, whole."""
    # SoftHSM reads every *.object of a token folder, so the temporary name must end otherwise.
    draft = path.with_name(f"{path.name}.{random_bytes(8).hex()}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

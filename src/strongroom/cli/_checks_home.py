"""Checks of ``doctor`` that look at files of the home: secrets, certificate, database, audit log."""

import asyncio
import datetime as dt
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from strongroom.cli._checks import Finding
from strongroom.config import Config, Home, OidcConfig
from strongroom.core import Clock, StrongroomError

_ENOUGH_DISK_BYTES = 1024**3
_LEAST_DISK_BYTES = 64 * 1024**2
_SOON = dt.timedelta(days=30)
_RENEWAL = "restart the service: it renews a development certificate; bring a new one if it is your own"


def check_private_files(home: Home, config: Config) -> Iterator[Finding]:
    """PIN files, the development access key and the TLS key: there, ours, and nobody else's to read."""
    named = [m.pin.file or m.pin.sealed for m in config.cluster.members]
    if config.pins.sealing_key is not None:
        named.append(config.pins.sealing_key.file)
    secret_files = [home.root / one for one in named if one is not None]
    if home.pins.is_dir():
        secret_files += sorted(path for path in home.pins.iterdir() if path not in secret_files)
    if config.service.tls:
        secret_files.append(home.root / config.service.tls_key)
    bad = [finding for path in secret_files for finding in _look_at_secret(path)]
    yield from bad
    if not bad:
        yield Finding("secret files", "ok", f"{len(secret_files)} files, readable by their owner only")
    if config.custody is not None:
        yield from _left_behind(home)
    for member in config.cluster.members:
        if member.pin.credential is not None:
            what = f"the PIN of {member.name} is the systemd credential {member.pin.credential!r}: seen at start only"
            yield Finding("secret files", "note", what)


def _left_behind(home: Home) -> Iterator[Finding]:
    """What is of officers, and lies here only while an init or members add is under way: one that was cut off at its very end leaves it."""
    for pattern in ("*-so", "*-so.first.sealed"):
        for path in sorted(home.pins.glob(pattern)):
            yield Finding(
                "secret files",
                "warn",
                f"{path} holds the PIN of a security officer",
                "run the same init or members add again, which ends by removing it; else remove it once its officers have it",
            )
    for path in sorted(home.pins.glob(".*.new")):
        yield Finding("secret files", "warn", f"{path} was left by an interruption", "remove it")


def check_pins(home: Home, config: Config, clock: Clock) -> Iterator[Finding]:
    """How old PINs are, and whether changes of them go on."""
    from strongroom.wiring.pin_status import last_departure, pin_warnings, read_pin_status

    found = read_pin_status(
        home, config.cluster.members, config.pins, now=clock.now(), departed_at=last_departure(home)
    )
    warnings = pin_warnings(found)
    for warning in warnings:
        yield Finding("PINs", "warn", warning, "see docs/pins.md")
    sealed = [status for status in found if status.source == "sealed"]
    if sealed and not warnings:
        yield Finding("PINs", "ok", f"{len(sealed)} sealed PINs, none due to be changed")


def _look_at_secret(path: Path) -> Iterator[Finding]:
    try:
        status = path.stat()
    except FileNotFoundError:
        yield Finding("secret files", "fail", f"{path} is missing", "put it there, mode 0400")
        return
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        yield Finding(
            "secret files",
            "fail",
            f"others may read {path} (mode {mode:04o})",
            f"chmod 0400 {path}; change what it holds if others have access to this machine",
        )
    elif mode != 0o400:
        yield Finding("secret files", "warn", f"{path} has mode {mode:04o}", f"chmod 0400 {path}")
    if status.st_uid != os.geteuid():
        yield Finding(
            "secret files", "warn", f"{path} belongs to user {status.st_uid}, not to you", "run as its owner"
        )


def check_certificate(home: Home, config: Config, clock: Clock) -> Iterator[Finding]:
    """The TLS certificate of the server: valid today, and for long enough."""
    if not config.service.tls:
        yield Finding("TLS", "warn", "tls = false: requests and answers travel in clear on loopback")
        return
    from cryptography import x509

    path = home.root / config.service.tls_certificate
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        yield Finding(
            "TLS", "fail", f"there is no certificate at {path}", "put it there, or set tls_certificate"
        )
        return
    except ValueError:
        yield Finding("TLS", "fail", f"{path} holds no PEM certificate", "put one there")
        return
    now = dt.datetime.fromtimestamp(clock.now(), dt.UTC)
    end = certificate.not_valid_after_utc
    if now < certificate.not_valid_before_utc:
        start = certificate.not_valid_before_utc
        yield Finding(
            "TLS", "fail", f"the certificate is valid from {start:%Y-%m-%d} only", "check the clock"
        )
    elif now >= end:
        yield Finding("TLS", "fail", f"the certificate ended on {end:%Y-%m-%d}", _RENEWAL)
    elif end - now < _SOON:
        yield Finding("TLS", "warn", f"the certificate ends on {end:%Y-%m-%d}", _RENEWAL)
    else:
        yield Finding("TLS", "ok", f"the certificate is valid until {end:%Y-%m-%d}")


class _Unheard:
    """An ``EventSink`` of somebody who asks for findings instead."""

    def emit(self, event: str, **fields: object) -> None:
        """Tell nobody."""


def check_issuer(home: Home, config: Config, clock: Clock) -> Iterator[Finding]:
    """The issuer of bearer tokens, if there is one: its keys can be read. Raises KeySetError."""
    if config.oidc is None:
        return
    from strongroom.wiring.issuer_keys import IssuerKeys

    async def count(oidc: OidcConfig) -> int:
        keys = IssuerKeys(oidc, home, clock=clock)
        await keys.read(_Unheard())
        return len(keys)

    found = asyncio.run(count(config.oidc))
    yield Finding("token issuer", "ok", f"{found} keys of {config.oidc.issuer} can be read")


def check_database(home: Home) -> Iterator[Finding]:
    """The database: ours, and of the revision that this software works with."""
    from strongroom.storage import ReadOnlyStore

    with ReadOnlyStore.open(home.database) as store:
        roots, members = len(store.list_roots()), len(store.list_members())
    if not roots:
        yield Finding("database", "fail", "the database knows no root key", "restore it from a backup")
    else:
        yield Finding("database", "ok", f"of this version; it knows {roots} root key and {members} members")


def recorded_serials(home: Home) -> dict[str, str]:
    """Return the serial number of the token that each member was taken in with; nothing where the database tells none.

    What is wrong with the database is said by ``check_database``.
    """
    from strongroom.storage import ReadOnlyStore

    try:
        with ReadOnlyStore.open(home.database) as store:
            return {member.name: member.token_serial for member in store.list_members()}
    except (StrongroomError, OSError):
        return {}


def check_audit_log(home: Home) -> Iterator[Finding]:
    """The audit log: can be written, on a disk with room. Without it the service refuses everything."""
    wal = home.audit / "wal"
    folders = [home.audit, *([wal, *wal.iterdir()] if wal.is_dir() else [])]
    shut = [folder for folder in folders if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK)]
    if shut or not home.audit.is_dir():
        first = shut[0] if shut else home.audit
        yield Finding(
            "audit log",
            "fail",
            f"{first} cannot be written",
            f"make it a folder of yours: chmod 0700 {first}",
        )
    else:
        yield Finding("audit log", "ok", "can be written; check its content with: strongroom audit verify")
    free = shutil.disk_usage(home.root).free
    text = f"{free / 1024**3:.1f} GiB free under {home.root}"
    if free < _LEAST_DISK_BYTES:
        yield Finding("disk", "fail", text, "free some space: a full disk stops the service")
    elif free < _ENOUGH_DISK_BYTES:
        yield Finding("disk", "warn", text, "free some space: a full disk stops the service")
    else:
        yield Finding("disk", "ok", text)

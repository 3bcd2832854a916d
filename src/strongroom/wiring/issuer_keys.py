"""The public keys of the issuer of bearer tokens: read from a file or fetched by HTTPS, kept, and looked for anew.

Requests only look into memory. What was read last counts while the source fails, for ``oidc.max_stale_s``; then no token counts
until it can be read again, so that who keeps us from the issuer cannot keep a withdrawn key alive for good.
"""

import asyncio
import contextlib
import http.client
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from strongroom.api import MAX_KEY_SET_BYTES, IssuerKey, KeySetError, read_key_set
from strongroom.config import Home, OidcConfig
from strongroom.core import Clock, Deadline, EventSink, StrongroomError

FETCH_LIMIT_S: Final = 10.0
"""For the whole of a fetch; each step of it on the network has half of that."""
_CHUNK_BYTES: Final = 16 * 1024


class IssuerKeys:
    """Keys by their ``kid``. Belongs to one event loop."""

    def __init__(self, oidc: OidcConfig, home: Home, *, clock: Clock) -> None:
        self._oidc = oidc
        self._home = home
        self._clock = clock
        self._keys: Mapping[str, IssuerKey] = MappingProxyType({})
        self._read_at = 0.0  # by the monotonic clock
        self._wanted = asyncio.Event()
        self._tried = asyncio.Event()
        self._data: bytes | None = None
        self._is_loading = False  # a thread of ours has not come back

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, key_id: str) -> IssuerKey | None:
        """Return a key; for one that is not known the source is looked at soon."""
        is_stale = self._clock.monotonic() - self._read_at > self._oidc.max_stale_s
        key = None if is_stale else self._keys.get(key_id)
        if key is None:
            self._wanted.set()
        return key

    async def follow(self, events: EventSink) -> None:
        """Read the keys now and again until cancelled; what fails is told, and tried again."""
        while True:
            self._wanted.clear()
            try:
                await self.read(events)
            except StrongroomError as error:
                events.emit("oidc.keys_not_read", cause=str(error))
            self._tried.set()
            await asyncio.sleep(self._oidc.retry_s)
            try:
                async with asyncio.timeout(max(self._oidc.refresh_s - self._oidc.retry_s, 0.0)):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    async def tried(self, limit_s: float) -> None:
        """Return when ``follow`` has tried to read the keys once, or after a time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._tried.wait()

    async def read(self, events: EventSink) -> None:
        """Read the keys. Raises KeySetError; then those that were read last stay."""
        data = await self._load()
        if data != self._data:
            keys = read_key_set(data, self._oidc.algorithms)
            events.emit("oidc.keys_read", n_keys=len(keys))
            self._keys, self._data = keys, data
        self._read_at = self._clock.monotonic()

    async def _load(self) -> bytes:
        """Have a thread of its own load the key set: a name server that hangs must not hold up the end of the process."""
        if self._is_loading:
            raise KeySetError("the last attempt to read the issuer's keys still hangs")
        loop = asyncio.get_running_loop()
        loaded: asyncio.Future[bytes] = loop.create_future()

        def tell(outcome: bytes | StrongroomError) -> None:
            self._is_loading = False
            if loaded.done():
                return
            if isinstance(outcome, bytes):
                loaded.set_result(outcome)
            else:
                loaded.set_exception(outcome)

        def work() -> None:
            outcome = self._outcome()
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(tell, outcome)

        self._is_loading = True
        threading.Thread(target=work, name="issuer-keys", daemon=True).start()
        try:
            async with asyncio.timeout(2 * FETCH_LIMIT_S):
                return await loaded
        except TimeoutError:
            raise KeySetError("the issuer's keys could not be read in time") from None

    def _outcome(self) -> bytes | StrongroomError:
        try:
            if self._oidc.jwks_file:
                return _read_file(self._home.root / self._oidc.jwks_file)
            ca_file = self._home.root / self._oidc.jwks_ca_file if self._oidc.jwks_ca_file else None
            return _fetch(self._oidc.jwks_url, ca_file, Deadline.after(self._clock, FETCH_LIMIT_S))
        except StrongroomError as error:
            return error
        except (OSError, http.client.HTTPException, ValueError) as error:
            return KeySetError(f"the issuer's keys cannot be read: {type(error).__name__}")


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_KEY_SET_BYTES + 1)


def _fetch(url: str, ca_file: Path | None, deadline: Deadline) -> bytes:
    """GET a key set by HTTPS: no redirect, no proxy, within bounds. Raises OSError, HTTPException, KeySetError."""
    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    connection = http.client.HTTPSConnection(
        str(parts.hostname), parts.port or 443, timeout=FETCH_LIMIT_S / 2, context=context
    )
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(
            "GET", target, headers={"Accept": "application/json", "Accept-Encoding": "identity"}
        )
        with connection.getresponse() as answer:
            if answer.status != http.HTTPStatus.OK:
                raise KeySetError(f"the issuer answers HTTP {answer.status} where its keys should be")
            data = b""
            while chunk := answer.read1(_CHUNK_BYTES):
                data += chunk
                if len(data) > MAX_KEY_SET_BYTES:
                    raise KeySetError(f"the key set has more than {MAX_KEY_SET_BYTES:,} bytes")
                if deadline.has_passed():
                    raise KeySetError("the issuer's keys come too slowly")
            return data
    finally:
        connection.close()

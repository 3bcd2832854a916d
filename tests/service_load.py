"""Clients that call a running service all the time, each with a key of its own, and remember what failed."""

import threading
import time
from typing import Self

from running_service import RunningService

_CLIENTS = 8


class Load:
    """Clients, each with a key of its own, in a loop of Encrypt and Decrypt, without retries, until told to stop."""

    def __init__(self, service: RunningService, *, clients: int = _CLIENTS) -> None:
        self.calls = 0
        self.failures: list[str] = []
        self.slowest_s = 0.0
        self._service = service
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._loop, args=(n,), daemon=True) for n in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _loop(self, number: int) -> None:
        kms = self._service.client()
        key_id = kms.create_key()["KeyMetadata"]["KeyId"]
        while not self._stop.is_set():
            plaintext = f"client {number}".encode()
            started = time.monotonic()
            try:
                blob = kms.encrypt(KeyId=key_id, Plaintext=plaintext)["CiphertextBlob"]
                opened = kms.decrypt(CiphertextBlob=blob)["Plaintext"]
                if opened != plaintext:
                    self.failures.append(f"wrong bytes: {opened!r}")
            except Exception as error:
                self.failures.append(repr(error))
            self.slowest_s = max(self.slowest_s, time.monotonic() - started)
            self.calls += 2

    def run_on(self, seconds: float) -> None:
        """Let the load go on; a machine that is busy may take long to begin with it."""
        calls, limit = self.calls, time.monotonic() + 30
        time.sleep(seconds)
        while self.calls == calls:
            assert time.monotonic() < limit, f"the load stands still\n{self._service.log()}"
            time.sleep(0.05)

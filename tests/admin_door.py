"""Signed requests to the admin API of a real service in this process, by any of its principals."""

import json
import re

from api_support import ACCOUNT, HOST, REGION, Health, send_request
from fakes_service import ACCESS_KEYS, EVERYTHING
from strongroom.api import Handler, sign_request
from strongroom.core import Secret
from strongroom.service import Credential
from strongroom.wiring.root_status import root_status_of

SECRET = b"s" * 40
STATUS = {
    "version": "1", "not_ready": [], "failovers": 0, "quarantined_keys": [], "cached_keks": 0, "cached_domains": 0, "audit_entries": 0, "audit_failure": None,
    "members": [{
        "name": "alpha", "worker": 0, "state": "active", "priority": 0, "generation": 1, "reason": "", "pid": 7, "breaker": "closed",
        "latency_ms": {},
    }],
}  # fmt: skip
"""As ``DataPlaneHealth.status`` has it."""


class AdminDoor:
    """The admin API in front of a ``ServiceBench``."""

    def __init__(self, bench):
        self.clock = bench.clock
        known = ACCESS_KEYS | {"user/stranger": "AKIASTRANGER"}
        self.ids = {principal: re.sub("[^A-Z0-9a-z]", "_", key_id) for principal, key_id in known.items()}
        bench.service.take_credentials(
            {
                key_id: Credential(known[principal], principal, Secret(SECRET))
                for principal, key_id in self.ids.items()
            }
        )
        self.health = Health()
        self.health.status = lambda: STATUS
        self.health.roots = lambda: root_status_of(bench.store, bench.clock)
        self.handler = Handler(bench.service, self.health, clock=bench.clock, account_id=ACCOUNT)

    async def send(self, method, path, body=b"", *, by=EVERYTHING, query="", kind="application/json"):
        """Send a request whose path is whole."""
        headers = sign_request(
            method=method, path=path, host=HOST, headers={"Content-Type": kind}, body=body, query=query, region=REGION,
            access_key_id=self.ids[by], secret_access_key=Secret(SECRET), clock=self.clock,
        )  # fmt: skip
        return await send_request(self.handler, method, path, list(headers.items()), body, query=query)

    async def ask(self, path, members=None, *, by=EVERYTHING, query=""):
        """GET what is below /api/v1/, or POST members there."""
        body = b"" if members is None else json.dumps(members).encode()
        method = "GET" if members is None else "POST"
        return await self.send(method, f"/api/v1/{path}", body, by=by, query=query)

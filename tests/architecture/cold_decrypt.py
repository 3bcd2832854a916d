"""Runs one cold Decrypt in one process under a tracer and prints the functions that it called, in order.

    SOFTHSM2_CONF=… python cold_decrypt.py HOME SOCKET_FOLDER

The member's worker runs in this process too, on its own thread and behind its real sockets.
"""

import asyncio
import base64
import json
import sys
import threading
from pathlib import Path

from strongroom.api import Handler, Request, sign_request
from strongroom.config import Home, load_config, read_pin
from strongroom.core import Secret, SystemClock
from strongroom.hsm.cluster import ClusterTable, HsmCluster, MemberState, WorkerEntry
from strongroom.wiring.data_plane import build_data_plane
from strongroom.wiring.events import LoggedEvents
from strongroom.wiring.member import build_member
from strongroom.wiring.workers import member_bootstrap

SOURCE = str(Path(sys.modules["strongroom"].__file__ or "").parent) + "/"
CLOCK = SystemClock()


class Tracer:
    """Notes each function of ours that is called while it is on."""

    def __init__(self):
        self.calls = []
        self.is_on = False

    def __call__(self, frame, event, _argument):
        if self.is_on and event == "call" and frame.f_code.co_filename.startswith(SOURCE):
            self.calls.append([frame.f_code.co_filename.removeprefix(SOURCE), frame.f_code.co_qualname])


class Caller:
    """Sends signed requests straight to the handler."""

    def __init__(self, handler, home):
        self._handler = handler
        self._key = json.loads(home.development_access_key.read_bytes())

    async def call(self, operation, document):
        body = json.dumps(document).encode()
        headers = sign_request(
            method="POST",
            path="/",
            host="localhost",
            headers={
                "content-type": "application/x-amz-json-1.1",
                "x-amz-target": f"TrentService.{operation}",
            },
            body=body,
            access_key_id=self._key["access_key_id"],
            secret_access_key=Secret.from_text(self._key["secret_access_key"]),
            region="us-east-1",
            clock=CLOCK,
        )
        named = tuple((name.lower(), value) for name, value in headers.items())
        response = await self._handler.handle(Request("POST", "/", "", named, body, "127.0.0.1"))
        assert response.status == 200, response
        return json.loads(response.body or b"{}")


async def main(home, sockets, tracer):
    config = load_config(home.root)
    member = config.cluster.members[0]
    pin = read_pin(member.pin, home.root).reveal()
    bootstrap = member_bootstrap(member, home, "serve", pin=pin, sockets=sockets, generation=1)
    worker = build_member(bootstrap).worker
    await worker.listen(Path(bootstrap.use_path), Path(bootstrap.admin_path))
    cluster = HsmCluster(
        clock=CLOCK, events=LoggedEvents("trace"), attempt_s=5, report=lambda suspicion: None
    )
    cluster.apply(ClusterTable(1, [WorkerEntry("alpha", 0, 1, MemberState.ACTIVE, bootstrap.use_path)]))
    plane = build_data_plane(config, home, cluster, writer="api-0", clock=CLOCK)
    await plane.load_credentials(LoggedEvents("trace"))
    handler = Handler(plane.service, plane.health, clock=CLOCK, account_id=config.service.account_id)
    caller = Caller(handler, home)
    key_id = (await caller.call("CreateKey", {}))["KeyMetadata"]["KeyId"]
    plaintext = base64.b64encode(b"traced").decode()
    made = await caller.call("Encrypt", {"KeyId": key_id, "Plaintext": plaintext})
    plane.keyring.ciphers.keks.clear()
    plane.keyring.ciphers.domains.clear()
    tracer.is_on = True
    opened = await caller.call("Decrypt", {"CiphertextBlob": made["CiphertextBlob"]})
    tracer.is_on = False
    assert opened["Plaintext"] == plaintext
    worker.close()
    cluster.close()
    plane.close()
    return tracer.calls


if __name__ == "__main__":
    watching = Tracer()
    threading.setprofile(watching)  # the thread that owns the HSM starts later, and is watched too
    sys.setprofile(watching)
    print(json.dumps(asyncio.run(main(Home(Path(sys.argv[1])), Path(sys.argv[2]), watching))))

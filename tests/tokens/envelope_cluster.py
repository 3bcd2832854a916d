"""Run as ``python -m tokens.envelope_cluster``: a service on a token of some kind, used by boto3.

Reads one JSON object: ``folder``, ``member`` (a section of the configuration) and ``pin``. Makes a home as ``init`` does, on
the token that is there already, by the wrap algorithm that the token turns out to do best; starts the service; makes a key,
encrypts and decrypts, with a restart between. Prints what it saw as JSON. Both members of the cluster are this one token,
since most of these kinds send no root to another; each has a worker process of its own. Where the token can only be used in namespaces of
its own, this whole program runs there.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from running_service import RunningService
from strongroom.config import ClusterConfig, Config, Home, MemberConfig, ServiceConfig, render_config
from strongroom.core import Deadline, SystemClock, WrapAlgorithm
from strongroom.hsm.cluster import RemoteMember, generate_root, make_canary
from strongroom.wiring import initialise
from strongroom.wiring.bootstrap import MemberBootstrap, MemberMode, TokenFound
from strongroom.wiring.cluster_setup import MadeRoot, SetUpMember
from strongroom.wiring.development_tls import make_development_tls, write_private
from strongroom.wiring.home import locked_home, remove_runtime_folder, runtime_folder
from strongroom.wiring.workers import admin_worker, member_bootstrap, member_environment, start_member

CLOCK = SystemClock()


def _bootstrap(
    home: Home, config: MemberConfig, mode: MemberMode, pin: bytes, **more: Any
) -> MemberBootstrap:
    return member_bootstrap(config, home, mode, pin=pin, sockets=runtime_folder(home), generation=0, **more)


async def _probe(home: Home, config: MemberConfig, pin: bytes) -> tuple[TokenFound, WrapAlgorithm]:
    child = await start_member(_bootstrap(home, config, "probe", pin), member_environment(config, home))
    await child.end()
    assert child.started.token is not None
    able = [WrapAlgorithm(tried.algorithm) for tried in child.started.wrapping if tried.missing is None]
    return child.started.token, able[0]


async def make_home(root: Path, config: MemberConfig, pin: bytes) -> tuple[Home, WrapAlgorithm]:
    """Make a home whose two members are one token, which exists."""
    home = Home(root)
    root.mkdir(mode=0o700, parents=True)
    with locked_home(home):
        initialise._start_afresh(home, lambda step: None)
        write_private(home.pins / config.name, pin)
        twin = msgspec.structs.replace(config, name="beta")
        try:
            token, algorithm = await _probe(home, config, pin)
            bootstrap = _bootstrap(home, config, "administer", pin, wrap_algorithm=int(algorithm))
            async with admin_worker(bootstrap, member_environment(config, home)) as admin:
                use = RemoteMember(config.name, bootstrap.use_path)
                try:
                    root_id, check = await generate_root(admin, "strongroom-root")
                    deadline = Deadline.after(CLOCK, 60)
                    canary = await make_canary(root_id, use, algorithm=algorithm, deadline=deadline)
                    made = MadeRoot(root_id, algorithm, check, canary, [])
                    members = [SetUpMember(member, token, ()) for member in (config, twin)]
                    access_key = await initialise._make_database(home, members, use, made, clock=CLOCK)
                finally:
                    use.close()
        finally:
            remove_runtime_folder(home)
        make_development_tls(home.tls, clock=CLOCK)
        write_private(home.development_access_key, msgspec.json.encode(access_key))
        whole = Config(
            version=1, service=ServiceConfig(processes=1), cluster=ClusterConfig(members=[config, twin])
        )
        home.config_file.write_text(render_config(whole))
        home.unfinished_mark.unlink()
    return home, algorithm


def use(home: Home) -> dict[str, Any]:
    """Make a key, encrypt, restart, decrypt."""
    context = {"purpose": "conformance"}
    with RunningService(home) as service:
        service.start()
        kms = service.client()
        key_id = kms.create_key()["KeyMetadata"]["KeyId"]
        blob = kms.encrypt(KeyId=key_id, Plaintext=b"attack at dawn", EncryptionContext=context)[
            "CiphertextBlob"
        ]
        data_key = kms.generate_data_key(KeyId=key_id, KeySpec="AES_256", EncryptionContext=context)
        service.stop()
        service.start()
        kms = service.client()
        opened = kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"]
        again = kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"], EncryptionContext=context)["Plaintext"]
        try:
            kms.decrypt(CiphertextBlob=blob, EncryptionContext={"purpose": "another"})
            refusal = None
        except kms.exceptions.InvalidCiphertextException:
            refusal = "InvalidCiphertextException"
        service.stop()
    return {
        "opened": opened == b"attack at dawn",
        "data_key": again == data_key["Plaintext"],
        "refusal": refusal,
    }


def main() -> None:
    """Do it all and print what was seen."""
    asked = json.load(sys.stdin)
    config = msgspec.convert(asked["member"], MemberConfig)
    home, algorithm = asyncio.run(make_home(Path(asked["folder"]) / "home", config, asked["pin"].encode()))
    print(json.dumps({"algorithm": algorithm.name, **use(home)}))


if __name__ == "__main__":
    main()

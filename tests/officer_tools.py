"""What officers hold, for tests: a running ssh-agent, and SoftHSM as a smart card."""

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from fixtures_softhsm import FreshToken, SofthsmEnv, loaded_softhsm
from strongroom.custody import OfficerKey
from strongroom.hsm.cryptoki import (
    Attribute,
    EcEdwardsKeyPairGen,
    EcKeyPairGen,
    KeyType,
    Module,
    UserType,
)

P256_OID = bytes.fromhex("06082a8648ce3d030107")
ED25519_OID = bytes.fromhex("06032b6570")
P384_OID = bytes.fromhex("06052b81040022")


class RunningAgent(NamedTuple):
    """An ssh-agent that listens."""

    socket: Path
    key: OfficerKey

    def add(self, *arguments: str) -> None:
        subprocess.run(
            ["ssh-add", "-q", *arguments],
            env={"PATH": os.environ["PATH"], "SSH_AUTH_SOCK": str(self.socket)},
            stdin=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )


@contextmanager
def running_agent(folder: Path):
    """Start a stock ssh-agent that holds an Ed25519 key and an RSA key; end it afterwards."""
    for tool in ("ssh-agent", "ssh-add", "ssh-keygen"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing: install the package openssh-client")
    socket = folder / "agent"
    for kind in ("ed25519", "rsa"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"anna {kind}", "-f", str(folder / kind)],
            check=True,
            timeout=60,
        )
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()  # it says where it listens once it does
        agent = RunningAgent(socket, OfficerKey.from_line((folder / "ed25519.pub").read_text()))
        agent.add(str(folder / "rsa"))
        agent.add(str(folder / "ed25519"))
        yield agent
    finally:
        process.terminate()
        process.communicate(timeout=60)


class OfficerCard(NamedTuple):
    """A SoftHSM token that serves as a card."""

    env: SofthsmEnv
    label: str
    pin: bytes

    def uri(self, key: str = "") -> str:
        """The card, and what names a key on it."""
        label = self.label.replace(" ", "%20")
        return f"pkcs11:token={label}{';' if key else ''}{key}?module-path={self.env.library}"


def make_card_keys(module: Module, token: FreshToken, *, twice: bool = False) -> None:
    """Make three keys: ``sign`` (P-256, id 01), ``edwards`` (Ed25519, id 02), ``each-time`` (P-256, id 03).

    The last wants the PIN at each signature. A fourth, of P-384, is of no use to officers. ``twice``: the first has a
    namesake.
    """
    session = module.open_session(token.slot)
    module.login(session, UserType.USER, token.user_pin)
    for label, cka_id, oid, always in (
        *(("sign", b"\x01", P256_OID, False),) * (2 if twice else 1),
        ("edwards", b"\x02", ED25519_OID, False),
        ("each-time", b"\x03", P256_OID, True),
        ("other", b"\x04", P384_OID, False),
    ):
        is_edwards = oid == ED25519_OID
        name = {Attribute.LABEL: label, Attribute.ID: cka_id, Attribute.TOKEN: True}
        kind = {Attribute.KEY_TYPE: KeyType.EC_EDWARDS if is_edwards else KeyType.EC}
        module.generate_key_pair(
            session,
            EcEdwardsKeyPairGen() if is_edwards else EcKeyPairGen(),
            public={**name, **kind, Attribute.EC_PARAMS: oid, Attribute.VERIFY: True, Attribute.PRIVATE: False},
            private={
                **name, **kind, Attribute.SIGN: True, Attribute.PRIVATE: True, Attribute.SENSITIVE: True,
                Attribute.ALWAYS_AUTHENTICATE: always,
            },
        )  # fmt: skip
    module.close_session(session)


@contextmanager
def officer_card(folder: Path):
    """Make a token that serves as a card, with the keys of ``make_card_keys``."""
    with loaded_softhsm(folder) as tokens:
        token = tokens.new()
        make_card_keys(tokens.module, token)
        yield OfficerCard(tokens.env, token.label, token.user_pin)

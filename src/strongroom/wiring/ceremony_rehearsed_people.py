"""The officers of a rehearsal: made up, with keys that are derived from the rehearsal's name, so that it goes on after a crash.

Whoever knows the name has the keys: they are worth nothing, and the genesis that they sign says REHEARSAL.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from strongroom.custody import (
    ApprovalRequest,
    Genesis,
    Json,
    OfficerPrivateKey,
    Role,
    check_genesis_body,
    read_document,
    signature_to_base64,
    write_document,
)
from strongroom.wiring.ceremony_stage import BlankCluster
from strongroom.wiring.init_example import EXAMPLE_SCRIPT
from strongroom.wiring.init_script import genesis_body_of, parse_init_script, read_init_script
from strongroom.wiring.init_script_form import (
    InitScript,
    ScriptMember,
    ScriptOfficer,
    ScriptPins,
    ScriptRule,
    ScriptTls,
)

REHEARSAL: Final = "REHEARSAL"
_EXAMPLE_KEY: Final = re.compile(r"PUT THE LINE OF (\w+)\.pub HERE")
_EXAMPLE_RECIPIENT: Final = re.compile(r"PUT age1… OR THE ssh-ed25519 LINE OF (\w+) HERE")
_OFFICERS: Final = ("anna", "ben", "cleo", "dora")
"""Those of the example."""
_SHORT_BITS: Final = 2048


class RehearsedPeople:
    """The officers of one rehearsal."""

    def __init__(self, name: str) -> None:
        self._name = name

    def key(self, officer: str) -> OfficerPrivateKey:
        """Return what an officer signs with."""
        return OfficerPrivateKey(self._private(officer, "signs"))

    def recipient(self, officer: str) -> str:
        """Return where deliveries to an officer are encrypted to: all open with the same key."""
        return OfficerPrivateKey(self._private(officer, "opens")).public.line

    def opens_deliveries(self) -> bytes:
        """Return the private key of the first officer's recipient, as OpenSSH writes one without a passphrase."""
        private = self._private(_OFFICERS[0], "opens")
        return private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())

    def signatures(self, request: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield the approval of each officer but whoever asked."""
        requester = read_document(request, ApprovalRequest).requester
        for officer in _OFFICERS:
            if requester != f"officer/{officer}":
                yield officer, self.key(officer).sign(request, "approval@strongroom")

    def newcomer(self) -> dict[str, Json]:
        """Return the parameters by which somebody becomes an officer."""
        person: dict[str, Json] = {
            "id": "rehearsal-newcomer",
            "name": "Rehearsal Newcomer",
            "roles": ["crypto-officer"],
            "keys": [self.key("rehearsal-newcomer").public.line],
            "principals": [],
            "recipient": "",
        }
        return {"person": person}

    def cluster(self, path: Path, genesis: bytes, *, now: int) -> BlankCluster:
        """Return the cluster that a script describes, or the example where there is none, as it is rehearsed.

        ``genesis``: as it was signed before; empty: it is signed now. Raises ConfigError.
        """
        script = self._made_up(read_init_script(path)) if path.is_file() else self._example()
        if not genesis:
            cluster = hashlib.sha256(f"{REHEARSAL} {self._name}".encode()).hexdigest()[:32]
            body = genesis_body_of(script, cluster=cluster, created=now)
            data = check_genesis_body(body)
            signers = [one.id for one in body.people if Role.SECURITY_OFFICER in one.roles]
            signed = (self.key(one).sign(data, "genesis@strongroom") for one in signers)
            genesis = write_document(Genesis(body=body, signatures=tuple(map(signature_to_base64, signed))))
        return BlankCluster(script, msgspec.json.format(msgspec.json.encode(script)) + b"\n", genesis)

    def _example(self) -> InitScript:
        text = _EXAMPLE_KEY.sub(lambda found: self.key(found[1]).public.line, EXAMPLE_SCRIPT)
        text = _EXAMPLE_RECIPIENT.sub(lambda found: self.recipient(found[1]), text)
        return self._made_up(parse_init_script(text.encode()))

    def _made_up(self, script: InitScript) -> InitScript:
        """Put SoftHSM in the place of every HSM, and made-up officers in that of the real ones. Rules and policy stay."""
        officers = tuple(
            ScriptOfficer(
                id=officer,
                name=f"Rehearsal {officer.title()}",
                roles=(role,),
                keys=(self.key(officer).public.line,),
                recipient=self.recipient(officer) if role is Role.SECURITY_OFFICER else "",
            )
            for officer, role in zip(
                _OFFICERS,
                (Role.SECURITY_OFFICER, Role.SECURITY_OFFICER, Role.CRYPTO_OFFICER, Role.CRYPTO_OFFICER),
                strict=True,
            )
        )
        return msgspec.structs.replace(
            script,
            cluster=msgspec.structs.replace(script.cluster, name=f"{REHEARSAL} {script.cluster.name}"[:200]),
            members=tuple(rehearsed_member(one.name) for one in script.members),
            officers=officers,
            rules={name: _within(rule) for name, rule in script.rules.items()},
            pins=ScriptPins(),
            tls=ScriptTls(make_for=("localhost", "127.0.0.1")),
            access_keys=(),
            service=msgspec.structs.replace(
                script.service, tls_certificate=None, tls_key=None, host="127.0.0.1"
            ),
            oidc=None,
        )

    def _private(self, officer: str, purpose: str) -> Ed25519PrivateKey:
        seed = hashlib.sha256(f"strongroom rehearsal/{self._name}/{officer}/{purpose}".encode()).digest()
        return Ed25519PrivateKey.from_private_bytes(seed)


def rehearsed_member(name: str) -> ScriptMember:
    """Return a SoftHSM member; the keys that others travel under are short, so that nobody waits for them."""
    return ScriptMember(name=name, profile="softhsm2", profile_changes={"import_key_bits": _SHORT_BITS})


def _within(rule: ScriptRule) -> ScriptRule:
    """Ask no more people than there are in a rehearsal, of roles that somebody has."""
    has_two = rule.role in {Role.SECURITY_OFFICER, Role.CRYPTO_OFFICER}
    role = rule.role if has_two else Role.SECURITY_OFFICER
    return msgspec.structs.replace(rule, m=min(rule.m, 2), role=role)

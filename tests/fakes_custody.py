"""A cluster with officers for tests of custody: their keys, a genesis, records, and stores that keep in memory."""

import base64
import threading

from hypothesis import HealthCheck, settings

from strongroom.custody import (
    CUSTODY_VERBS,
    ApprovalRefusedError,
    Chain,
    Genesis,
    GenesisBody,
    OfficerPrivateKey,
    Person,
    QuorumRule,
    Record,
    Refusal,
    Role,
    UsesSoFar,
    check_genesis_body,
    document_hash,
    new_request,
    write_document,
)

NOW = 1_790_000_000
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For tests with examples: the machine may be busy with something else."""
NAMESPACES = {name: f"{name}@strongroom" for name in ("approval", "rejection", "genesis")}
SO, CO, AUDITOR = Role.SECURITY_OFFICER, Role.CRYPTO_OFFICER, Role.AUDITOR
PEOPLE = {
    "anna": (SO,), "ben": (SO,), "cleo": (SO,), "dora": (CO,), "emil": (CO,), "finn": (CO,), "gus": (AUDITOR,), "hana": (Role.OPERATOR,),
}  # fmt: skip
RULES = {
    **dict.fromkeys(CUSTODY_VERBS, QuorumRule(m=2, role=SO, expires_s=86_400, standing=False)),
    "RetireRoot": QuorumRule(m=2, role=SO, expires_s=3_600, standing=False),
    "DestroyRoot": QuorumRule(m=2, role=SO, expires_s=3_600, standing=False),
    "GenerateDirect": QuorumRule(m=2, role=CO, expires_s=3_600, standing=True),
    "Backup": QuorumRule(m=1, role=CO, expires_s=3_600, standing=False),
}
_KEYS: dict[str, OfficerPrivateKey] = {}


def key_of(name):
    """The private key that goes by a name; made once for all tests."""
    if name not in _KEYS:
        _KEYS[name] = OfficerPrivateKey.generate()
    return _KEYS[name]


def person(name, roles=(), *, keys=None, principals=None, full_name=None, recipient=""):
    return Person(
        id=name,
        name=full_name or name.title(),
        roles=tuple(sorted(roles or PEOPLE[name])),
        keys=tuple(key_of(key).public.line for key in (keys or (name,))),
        principals=(f"user/{name}",) if principals is None else tuple(principals),
        recipient=recipient,
    )


def genesis_body(*, cluster="0c" * 16, people=PEOPLE, rules=RULES, **changes):
    fields = {
        "type": "strongroom-genesis-v1",
        "cluster": cluster,
        "name": "test cluster",
        "created": NOW,
        "people": tuple(person(name, roles) for name, roles in people.items()),
        "rules": dict(rules),
    }
    return GenesisBody(**(fields | changes))


def text_of(signature):
    return base64.b64encode(signature).decode()


def signed_genesis(body=None, *, signers=None):
    """The bytes of a genesis, signed by the security officers (or by others, without a check)."""
    body = body or genesis_body()
    data = check_genesis_body(body) if signers is None else write_document(body)
    if signers is None:
        signers = [one.id for one in body.people if SO in one.roles]
    signatures = tuple(text_of(key_of(name).sign(data, NAMESPACES["genesis"])) for name in signers)
    return write_document(Genesis(body=body, signatures=signatures))


def approve(request, *names, kind="approval"):
    """Signatures of a request by the keys with these names."""
    return [key_of(name).sign(write_document(request), NAMESPACES[kind]) for name in names]


def nonce_of(number):
    return number.to_bytes(16, "big")


def ask(state, verb, parameters, *, requester="user/root", number=1, now=NOW, **more):
    return new_request(state, verb, parameters, requester=requester, nonce=nonce_of(number), now=now, **more)


def change(chain, verb, parameters, *names, now=NOW + 10, requester="user/root"):
    """The bytes of the record by which a change comes into force."""
    request = ask(chain.state, verb, parameters, requester=requester, now=now, number=len(chain.states))
    signatures = tuple(map(text_of, approve(request, *(names or ("anna", "ben")))))
    return write_document(
        Record(
            type="strongroom-record-v1",
            sequence=len(chain.states),
            request=request,
            approvals=signatures,
            at=now,
        )
    )


def begun(**changes):
    return Chain.from_documents(signed_genesis(genesis_body(**changes)))


def changed(chain, verb, parameters, *names, **more):
    return chain.extended(change(chain, verb, parameters, *names, **more))


def hash_of(document):
    return document_hash(write_document(document))


class MemoryNonces:
    """``UsedNonces`` that forgets when the process ends; safe between threads."""

    def __init__(self):
        self.spent = set()
        self.until = {}
        self._lock = threading.Lock()

    def spend(self, nonce, *, until):
        with self._lock:
            if nonce in self.spent:
                raise ApprovalRefusedError(Refusal.ALREADY_USED)
            self.spent.add(nonce)
            self.until[nonce] = until


class MemoryUses:
    """``StandingUses`` beside the nonces that rejections spend."""

    def __init__(self, nonces):
        self._nonces = nonces
        self._uses = {}

    def spend(self, nonce, terms, *, now):
        if nonce in self._nonces.spent:
            raise ApprovalRefusedError(Refusal.ALREADY_USED)
        self._uses[nonce] = self._uses.get(nonce, UsesSoFar()).with_one_more(terms, now=now)

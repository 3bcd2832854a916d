"""A member's gate with a clock, a memory and a token that is a set of ids."""

import msgspec
import pytest

from fakes_custody import CO, NOW, RULES, SO, approve, ask, begun
from strongroom.core import ApprovalRequiredError, HsmError, HsmKey, HsmKeyId, KeySpec, KeyUsage
from strongroom.custody import (
    UNDO_S,
    ActGate,
    ApprovalRefusedError,
    Pin,
    QuorumRule,
    Refusal,
    UsesSoFar,
    write_document,
)
from strongroom.hsm.wire import DestroyDirect, GenerateDirect
from strongroom.testing import FakeClock

ACT_RULES = {
    **RULES,
    "CreateHsmKey": QuorumRule(2, CO, 3_600, True),
    "DestroyHsmKey": QuorumRule(2, CO, 3_600, False),
    "RetireRoot": QuorumRule(2, SO, 3_600, False),
    "RotateRoot": QuorumRule(2, SO, 3_600, False),
    "AddMember": QuorumRule(2, SO, 3_600, False),
    "MakeAuditKey": QuorumRule(2, CO, 86_400, False),
    "PruneAuditLog": QuorumRule(2, CO, 86_400, False),
    "MakeBackupSet": QuorumRule(2, SO, 86_400, False),
    "CreateBackup": QuorumRule(2, CO, 86_400, True),
    "RestoreBackup": QuorumRule(2, SO, 86_400, False),
    "RetireBackupSet": QuorumRule(2, SO, 86_400, False),
}  # fmt: skip
CREATE = {"spec": "AES_256", "usage": "ENCRYPT_DECRYPT", "may_leave": True}
ROOT = bytes(range(16))


def key(number):
    return HsmKey(HsmKeyId(number.to_bytes(16, "big")), KeySpec.AES_256, KeyUsage.ENCRYPT_DECRYPT)


def generate(number=1):
    return GenerateDirect(key(number), f"key {number}", may_leave=True)


def destroy(number=1):
    return DestroyDirect(key(number))


def destroying(*numbers):
    return {"key_id": "a-key", "hsm_keys": sorted(key(number).key_id.hex() for number in numbers)}


class MemoryActs:
    """``SpentActs`` that forget when the process ends."""

    def __init__(self, begins=0):
        self.begins = begins
        self.spent, self.uses, self.sessions, self.made = set(), {}, {}, {}
        self.until = {}
        self.is_full = False

    def require_unspent(self, nonce, part):
        if (nonce, part) in self.spent:
            raise ApprovalRefusedError(Refusal.ALREADY_USED)

    def spend_part(self, nonce, part, *, until):
        if self.is_full:
            raise HsmError("the disk is full")
        self.require_unspent(nonce, part)
        self.spent.add((nonce, part))
        self.until[nonce, part] = until

    def begin_change(self, nonce, change, *, until):
        begun = {part for one, part in self.spent if one == nonce}
        if begun - {change}:
            raise ApprovalRefusedError(Refusal.ALREADY_USED)
        self.spent.add((nonce, change))

    def spend(self, nonce, terms, *, now):
        self.uses[nonce] = self.uses.get(nonce, UsesSoFar()).with_one_more(terms, now=now)

    def last_use(self, nonce):
        latest = self.uses.get(nonce, UsesSoFar()).latest
        return latest[-1] if latest else None

    def begin_session(self, nonce, *, until, now):
        return self.sessions.setdefault(nonce, now)

    def note_made(self, name, *, now):
        self.made[name] = now

    def was_made(self, name, *, now):
        return name in self.made and self.made[name] <= now <= self.made[name] + UNDO_S


class Member:
    """A gate, and a token that is a set of ids."""

    def __init__(self, *, chain=None, pinned=None, used=None, sessions=False):
        self.chain = chain or begun(rules=ACT_RULES)
        head = self.chain.states[0].head
        self.clock = FakeClock(now=NOW + 30)
        self.used = used or MemoryActs()
        self.held = set()
        self._numbers = iter(range(1, 10_000))
        self.gate = ActGate(
            begun(rules=ACT_RULES), pinned or Pin(head, 0, head), member="alpha", clock=self.clock, used=self.used,
            exists=lambda kind, cka_id: (kind, cka_id) in self.held, allows_sessions=sessions,
        )  # fmt: skip

    def ask(self, verb, parameters, **more):
        more.setdefault("now", int(self.clock.now()))
        return ask(self.chain.state, verb, parameters, number=next(self._numbers), **more)

    def admit(self, request, *names, **more):
        self.gate.admit(write_document(request), approve(request, *names), **more)

    def approved(self, verb, parameters, *names, **more):
        request = self.ask(verb, parameters, **more)
        self.admit(request, *(names or ("dora", "emil")))
        return request

    def run(self, call, failure=None):
        """What a worker does with a call; returns its name if it ran."""
        name, values = type(call).__name__, msgspec.structs.asdict(call)
        self.gate.check(name, values)
        self.gate.ended(name, values, failure)
        return name

    def refused(self, call, match):
        with pytest.raises(ApprovalRequiredError, match=match):
            self.run(call)

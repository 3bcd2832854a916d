"""What goes wrong in a random sequence, and what must hold at its end (``test_sequences_of_trouble``)."""

import asyncio
import shutil
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from faults.healing_cluster import soon
from faults.sequence_operations import AAD, KINDS, NAMES, Operations, names
from faults.shimmed_faults import ENDING, HANGING, PASSING
from faults.shimmed_setup import ROOT
from strongroom.core import HsmKeyId, MemberFailedError, random_bytes
from strongroom.hsm.cluster import MemberState
from strongroom.storage import CopyState, HsmKeyState


class Tried(NamedTuple):
    """How often a wrong PIN was tried, once the fault itself is lifted."""

    hits: int


NEVER = Tried(0)


class Sequence(Operations):
    """One sequence of operations, faults, losses and returns."""

    @rule(
        name=names, fault=st.sampled_from(sorted(PASSING)), then=st.sampled_from(["use", "create", "destroy"])
    )
    def fault(self, name, fault, then):
        """Something goes wrong, and somebody is about to notice."""
        self.story.append(f"{name}: {fault}")
        PASSING[fault](self.shim(name))
        if then == "use":
            self.use_all()
        elif then == "create":
            self.create(next(spec for spec in KINDS if spec.is_pair == (len(self.story) % 2 == 0)), 2.0)
        elif self.keys:
            self.destroy_one(next(iter(self.keys)), 1.0)

    @precondition(lambda self: len(self.story) % 3 == 0)  # each may cost a worker
    @rule(name=names, fault=st.sampled_from(sorted(HANGING | ENDING)))
    def grave_fault(self, name, fault):
        self.story.append(f"{name}: {fault}")
        (HANGING | ENDING)[fault](self.shim(name))

    @rule(name=names)
    def heal(self, name):
        self.story.append(f"{name}: healed")
        self.healed(name)

    def healed(self, name):
        """Undo every fault; a PIN that nobody has tried yet is the right one again."""
        before, fault = self.refused.pop(name, (0, NEVER))
        self.shim(name).heal()
        if fault.hits:
            self.refused[name] = before, Tried(1)
        else:
            self.shim(name).count_pins(0, user_wrong=0)

    @precondition(lambda self: not self.refused and len(self.story) % 3 == 1)
    @rule(name=names)
    def refuse_pin(self, name):
        """As if somebody had changed the PIN: the next login is refused, once, so that a second one would show."""
        self.story.append(f"{name}: the PIN is changed")
        shim = self.shim(name)
        before = shim.calls("C_Login")
        shim.count_pins(
            10, user_wrong=1
        )  # as the token tells after the refusal, also a worker that died in it
        self.refused[name] = before, shim.fail("C_Login", "CKR_PIN_INCORRECT", last=1)
        shim.log_out()

    def between_the_first_keys(self):
        for name in NAMES:
            self.copy_token(name)

    def copy_token(self, name):
        """Copy a token's files for later."""
        folder = self.harness.folder / f"{name}-{random_bytes(4).hex()}"
        shutil.copytree(self.cluster.members[name].token_folder, folder)
        self.copies[name] = folder, set(self.keys)

    @precondition(lambda self: len(self.cluster.away) < 2 and len(self.story) % 2)
    @rule(name=names)
    def lose(self, name):
        self.run(self.cluster.lose(name), told=f"{name}: lost")

    @precondition(lambda self: self.cluster.away)
    @rule(is_older=st.booleans())
    def bring_back(self, is_older):
        name = min(self.cluster.away)
        if is_older and name in self.copies and self.may_lose_its_keys(name):
            folder, then = self.copies.pop(name)
            self.cluster.restore_token(name, folder)
            shutil.rmtree(folder)
            self.dropped[name] |= set(self.keys) - then
            self.story.append(f"{name}: an older copy in place")
            self.harness.seen["an older copy in place"] += 1
        self.cluster.away.discard(name)
        self.story.append(f"{name}: back")

    @rule(seconds=st.sampled_from([0.05, 0.5]))
    def wait(self, seconds):
        self.run(asyncio.sleep(seconds), told=f"{seconds} s pass")

    def may_lose_its_keys(self, name):
        """Whether each acknowledged key is on another member too: else ``min_copies`` members would have lost it."""
        return all(self.holders(key_id) - {name} for key_id in self.keys)

    def holders(self, key_id):
        copies = self.cluster.store.list_hsm_key_copies(HsmKeyId(key_id))
        held = {copy.member for copy in copies if copy.state is CopyState.HELD}
        return {name for name in held if key_id not in self.dropped[name]}

    @rule(name=names)
    def reconcile(self, name):
        if self.cluster.is_serving(name):
            self.run(self.reconciled(name), told=f"{name}: reconciled")

    async def reconciled(self, name):
        report = await self.cluster.reconcile(name)
        if report is not None:
            is_open = {drift.object_id for drift in report.drifts if drift.is_open}
            self.dropped[name] = {key for key in self.dropped[name] if key.hex() in is_open}
        return report

    # --- the end -----------------------------------------------------------------------------------------------

    def teardown(self):
        if self.story and not self.harness.is_broken:
            self.harness.n_sequences += 1
            self.run(self.ended(), told="the end")

    async def ended(self):
        """Everything is healed and every member reconciled: all that must be there is there, and nothing else."""
        for name in NAMES:
            self.healed(name)
        self.cluster.away.clear()
        for name in NAMES:
            await self.put_right(name)
        self.check_logins()
        self.refused.clear()
        for name in NAMES:
            await self.require_clean(name)
        for key_id in self.destroyed:
            assert self.cluster.store.get_hsm_key(HsmKeyId(key_id)).state is HsmKeyState.DESTROYED
        for key_id in list(self.keys):
            self.keys.pop(key_id)
            before = self.workers()
            left = await self.cluster.replication.destroy(HsmKeyId(key_id), deadline=soon(20))
            assert all(self.workers()[name] != before[name] for name in left.left_on), left
        for name in NAMES:
            await self.require_clean(name)
        for folder, _ in self.copies.values():
            shutil.rmtree(folder)
        self.harness.seen.update(event.name for event in self.cluster.events.events)
        self.cluster.end()

    async def put_right(self, name):
        """Have the member serve; where its PIN was refused, a person looks at it and lets it be tried again."""
        until = soon(60)
        while not await self.cluster.serves(name):
            assert not until.has_passed(), f"{name} does not serve: {self.cluster.entry(name)}"
            if self.cluster.state(name) is MemberState.STOPPED:
                self.check_logins()
                self.refused.pop(name)
                self.cluster.members[name].let_pin_be_tried()
                self.cluster.keep(name)

    def workers(self):
        """Who serves for each member: a worker may still be replaced for what it was accused of before it was healed."""
        entries = map(self.cluster.entry, NAMES)
        return {entry.member: (entry.generation, entry.state) for entry in entries}

    async def require_clean(self, name):
        """One member holds every acknowledged key, the same as ever, and none that was destroyed or undone."""
        while True:
            before = self.workers()[name]
            try:
                await self.require_reconciled(name)
                return await self.require_the_same_keys(name)
            except MemberFailedError:
                assert self.workers()[name] != before, f"{name} fails"
                await self.put_right(name)

    async def require_reconciled(self, name):
        for _ in range(20):  # one that is busy recovering is looked at again
            report = await self.reconciled(name)
            if report is not None and report.is_clean:
                break
            await self.put_right(name)
        assert report is not None, f"{name} does not answer"
        assert not [drift for drift in report.drifts if not drift.repair], report.in_words()

    async def require_the_same_keys(self, name):
        replica = self.cluster.replica(name)
        held = {entry.cka_id for entry in await replica.keys.list_objects(deadline=soon(20))}
        expected = {ROOT, *(record.transport_id for record in self.cluster.joined.transports), *self.keys}
        assert held == expected, (name, held - expected, expected - held)
        for key_id in self.keys:
            await self.used(key_id, replica.use, 20)
        for blob, key in self.blobs:
            assert (await replica.use.unwrap(ROOT, blob, AAD, deadline=soon(20))).matches(key)

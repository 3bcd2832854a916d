"""Any sequence of rotations, imports, deletions, expiries and suspensions: no acknowledged ciphertext is lost or mixed up."""

import asyncio

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fakes_keyring import KeyringBench
from strongroom.core import KeyOrigin, KeyState, Secret
from strongroom.keyring import (
    BroughtMaterial,
    ImportStateError,
    ImportType,
    IncorrectKeyMaterialError,
    KeyById,
    KeyKind,
    KeyStateError,
    WrappingAlgorithm,
)

DAY_S = 86_400.0
MATERIALS = [bytes([number]) * 32 for number in range(4)]
_OAEP = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)


class LifecycleMachine(RuleBasedStateMachine):
    """One key of ours and one whose material is imported, seen by two processes.

    The model of the imported key: the materials in use, oldest first, the one that waits, those that are there, and the
    dates of those that expire.
    """

    made_once = None
    folder = None
    runs = 0

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        LifecycleMachine.runs += 1
        self.bench = KeyringBench(self.made_once, self.folder / f"{LifecycleMachine.runs}.db")
        self.rings = [self.bench.open_keyring(ttl_s=1e9), self.bench.open_keyring(ttl_s=50_000.0)]
        self.made, self.is_suspended, self.n_rotations = [], {}, 0
        self.in_use, self.waiting, self.dates = [], None, {}

    @initialize()
    def make_keys(self):
        create = self.rings[0].create_key
        self.ours = self.run(create("ours")).key_id
        self.theirs = self.run(create("theirs", kind=KeyKind(origin=KeyOrigin.EXTERNAL))).key_id
        self.is_suspended = {self.ours: False, self.theirs: False}
        self.run(self.rings[0].rotations.enable(self.ours, days=90))
        parameters = self.rings[0].imports.parameters
        self.parameters = self.run(parameters(self.theirs, WrappingAlgorithm.RSAES_OAEP_SHA_256, 2048))

    def run(self, work):
        async def one_turn():  # what one turn of the loop handles sees one moment
            await asyncio.sleep(0)
            return await work

        return self.runner.run(one_turn())

    def teardown(self):
        for ring in getattr(self, "rings", []):
            ring.close()
        self.runner.close()
        self.bench.close()

    def is_there(self, material):
        return material in self.dates and self.dates[material] > self.bench.clock.now()

    def works(self, key_id):
        if key_id == self.theirs and not (self.in_use and all(map(self.is_there, self.in_use))):
            return False
        return not self.is_suspended[key_id]

    rings_drawn, keys_drawn = st.integers(0, 1), st.booleans()

    @rule(ring=rings_drawn, is_ours=keys_drawn, plaintext=st.binary(min_size=1, max_size=8))
    def encrypt(self, ring, is_ours, plaintext):
        key_id = self.ours if is_ours else self.theirs
        act = self.rings[ring].encrypt(KeyById(key_id), Secret(plaintext), {})
        if self.works(key_id):
            self.made.append((key_id, plaintext, self.run(act).ciphertext))
        else:
            with pytest.raises(KeyStateError):
                self.run(act)

    @precondition(lambda self: self.made)
    @rule(ring=rings_drawn, data=st.data())
    def decrypt(self, ring, data):
        key_id, plaintext, ciphertext = data.draw(st.sampled_from(self.made))
        act = self.rings[ring].decrypt(ciphertext, {}, key=None)
        if self.works(key_id):
            assert self.run(act).plaintext.reveal() == plaintext
        else:
            with pytest.raises(KeyStateError):
                self.run(act)

    @precondition(lambda self: self.n_rotations < 20)
    @rule(ring=rings_drawn)
    def rotate_ours(self, ring):
        act = self.rings[ring].rotations.rotate_on_demand(self.ours)
        if self.works(self.ours):
            self.run(act)
            self.n_rotations += 1
        else:
            with pytest.raises(KeyStateError):
                self.run(act)

    @rule(ring=rings_drawn)
    def rotate_what_is_due(self, ring):
        rotations = self.rings[ring].rotations
        for key_id in rotations.list_due(limit=10):
            assert self.run(rotations.rotate_due(key_id)) is not None

    @rule(ring=rings_drawn, is_ours=keys_drawn, suspend=st.booleans())
    def set_state(self, ring, is_ours, suspend):
        key_id = self.ours if is_ours else self.theirs
        act = self.rings[ring].set_state(key_id, KeyState.SUSPENDED if suspend else KeyState.ACTIVE)
        if key_id == self.theirs and not (self.in_use and all(map(self.is_there, self.in_use))):
            with pytest.raises(KeyStateError):
                self.run(act)
        else:
            self.run(act)
            self.is_suspended[key_id] = suspend

    @rule(
        ring=rings_drawn,
        material=st.sampled_from(MATERIALS),
        days=st.sampled_from([1.0, 30.0]),
        is_new=st.booleans(),
    )
    def bring(self, ring, material, days, is_new):
        self.expire()  # what has expired is let go of before: the model knows no third state
        expires_at = self.bench.clock.now() + days * DAY_S
        if self.parameters.valid_to <= self.bench.clock.now():
            parameters = self.rings[ring].imports.parameters
            self.parameters = self.run(parameters(self.theirs, WrappingAlgorithm.RSAES_OAEP_SHA_256, 2048))
        wrapped = load_der_public_key(self.parameters.public_key).encrypt(material, _OAEP)
        kind = ImportType.NEW if is_new else None
        brought = BroughtMaterial(self.parameters.token, wrapped, expires_at, kind=kind)
        act = self.rings[ring].imports.bring(self.theirs, brought)
        known = [*self.in_use, *([self.waiting] if self.waiting else [])]
        if material in known and is_new:
            error = IncorrectKeyMaterialError
        elif material in known or not known:
            error = None
        elif not is_new:
            error = IncorrectKeyMaterialError
        else:
            error = ImportStateError if self.waiting else None
        if error is not None:
            with pytest.raises(error):
                self.run(act)
            return
        was_waiting = not self.in_use or not all(map(self.is_there, self.in_use))
        self.run(act)
        self.dates[material] = expires_at
        if not known:
            self.in_use = [material]
        elif material not in known:
            self.waiting = material
        if was_waiting and all(map(self.is_there, self.in_use)):
            self.is_suspended[self.theirs] = False

    @rule(ring=rings_drawn)
    def rotate_theirs(self, ring):
        act = self.rings[ring].rotations.rotate_on_demand(self.theirs)
        if not self.works(self.theirs):
            with pytest.raises(KeyStateError):
                self.run(act)
        elif self.waiting is None or not self.is_there(self.waiting):
            with pytest.raises(ImportStateError):
                self.run(act)
        else:
            self.run(act)
            self.in_use.append(self.waiting)
            self.waiting = None

    @precondition(lambda self: self.in_use)
    @rule(ring=rings_drawn, data=st.data())
    def delete(self, ring, data):
        self.expire()
        material = data.draw(st.sampled_from(self.in_use))
        versions = (
            self.rings[ring].rotations.versions(self.theirs, limit=50, after=None, with_first=True).versions
        )
        self.run(
            self.rings[ring].imports.delete(self.theirs, versions[self.in_use.index(material)].material_id)
        )
        self.dates.pop(material, None)
        self.is_suspended[self.theirs] = False  # it waits; once it is whole again it is active

    @rule()
    def expire(self):
        now = self.bench.clock.now()
        imports = self.rings[0].imports
        for key_id in imports.list_expired(limit=10):
            assert self.run(imports.expire_due(key_id))
        gone = {material for material, date in self.dates.items() if date <= now}
        if gone & set(self.in_use):
            self.is_suspended[self.theirs] = False
        if self.waiting in gone:
            self.waiting = None
        self.dates = {material: date for material, date in self.dates.items() if material not in gone}

    @rule(days=st.sampled_from([0.4, 2.0, 95.0]))
    def wait(self, days):
        self.bench.clock.advance(days * DAY_S)

    @invariant()
    def both_processes_tell_the_same_state(self):
        if not self.is_suspended:
            return
        for key_id in (self.ours, self.theirs):
            states = set()
            for ring in self.rings:
                states.add(self.run(self.described(ring, key_id)).state)
            assert len(states) == 1
            assert (states == {KeyState.ACTIVE}) == self.works(key_id)

    async def described(self, ring, key_id):
        return ring.describe(KeyById(key_id))


def run_machine(folder, made, **options):
    machine = type("LifecycleMachine", (LifecycleMachine,), {"made_once": made, "folder": folder})
    case = machine.TestCase
    case.settings = settings(deadline=None, **options)
    case("runTest").runTest()


def test_any_short_history_loses_and_mixes_up_nothing(tmp_path, hsm_and_database):
    run_machine(tmp_path, hsm_and_database, max_examples=12, stateful_step_count=30)


@pytest.mark.slow
def test_any_long_history_loses_and_mixes_up_nothing(tmp_path, hsm_and_database):
    run_machine(tmp_path, hsm_and_database, max_examples=150, stateful_step_count=60)

"""Any sequence of moves, rotations of keys and domains, imports and ends of keys, several at once in two processes: nothing is lost.

After every step each blob lies under a domain KEK that is there, where its key is or is going, and each domain knows how many keys it has.
"""

import asyncio
import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fakes_keyring import KeyringBench
from strongroom.core import KeyOrigin, KeyUsage, ManagedKeySpec, Secret, StorageError
from strongroom.keyring import (
    BroughtMaterial,
    DomainFullError,
    DomainNotFoundError,
    DomainStateError,
    ImportStateError,
    ImportTokenError,
    KekCiphers,
    KeyById,
    KeyKind,
    KeyNotFoundError,
    KeyStateError,
    RotationLimitError,
    WrappingAlgorithm,
)
from strongroom.keyring._import_wrapping import make_wrapping_key
from unit.keyring.domain_checks import assert_counts_are_true, blobs_under

DAY_S = 86_400.0
MATERIAL = bytes(range(32))
OAEP = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
SYMMETRIC = KeyKind()
PAIR = KeyKind(ManagedKeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
IMPORTED = KeyKind(origin=KeyOrigin.EXTERNAL)
NAMES = ("red", "blue", "dedicated")
REFUSALS = (
    DomainFullError, DomainNotFoundError, DomainStateError, ImportStateError, ImportTokenError, KeyNotFoundError, KeyStateError,
    RotationLimitError,
)  # fmt: skip
WHATS = ("move", "rotate", "domain", "finish", "create", "encrypt", "bring")
ACTS = st.tuples(st.sampled_from(WHATS), st.integers(0, 1), st.integers(0, 5), st.integers(0, 3))
KEPT = "kept"  # what says that others were faster, again and again


class DomainMachine(RuleBasedStateMachine):
    """Keys of three kinds in shards, two named domains and their own, seen by a process that keeps keys and one that does not."""

    made_once = None
    folder = None
    runs = 0

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        DomainMachine.runs += 1
        self.bench = KeyringBench(self.made_once, self.folder / f"{DomainMachine.runs}.db")
        self.rings = [self.bench.open_keyring(ttl_s=1e9), self.bench.open_keyring(ttl_s=0.0)]
        self.store = self.bench.stores[0]
        self.keys, self.sealed, self.gone = [], [], set()
        self.parameters = None

    def run(self, *works):
        """Do several things at once, each on its ring; what they are refused is one of REFUSALS."""

        async def together():
            await asyncio.sleep(0)
            return await asyncio.gather(*works, return_exceptions=True)

        answers = self.runner.run(together())
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, REFUSALS):
                assert isinstance(answer, StorageError), repr(answer)
                assert KEPT in answer.message, repr(answer)
        return answers

    @initialize()
    def begin(self):
        ring = self.rings[0]
        self.run(*(ring.domains.create(name) for name in NAMES[:2]))
        for kind in (SYMMETRIC, SYMMETRIC, PAIR, IMPORTED):
            (made,) = self.run(ring.create_key("x", {}, kind))
            self.keys.append((made.key_id, kind))

    def teardown(self):
        try:
            if self.keys:
                self.nothing_is_lost()
        finally:
            for ring in self.rings:
                ring.close()
            self.runner.close()
            self.bench.close()

    def nothing_is_lost(self):
        for _ in range(2):
            self.run(*(self.finish(0, 0)))
        assert not self.store.list_replaced_domains()
        fresh = self.bench.open_keyring()
        for key_id, plaintext, blob in self.sealed:
            (answer,) = self.run(fresh.decrypt(blob, {}, key=None))
            if key_id in self.gone or isinstance(answer, KeyStateError):
                continue
            assert answer.plaintext.reveal() == plaintext, key_id
        for key_id, kind in self.keys:
            if kind is PAIR and key_id not in self.gone:
                (work,) = self.run(fresh.envelope.open(self.store.get_key(key_id)))
                assert work.public_key == self.store.get_key_version(key_id, 1).public_key

    def act(self, what, ring, of_keys, of_domains):
        """Return one thing to do, as a coroutine. The numbers choose: what is drawn depends on nothing that was done."""
        ring = self.rings[ring]
        key_id, kind = self.keys[of_keys % len(self.keys)]
        match what:
            case "move":
                return ring.domains.move(key_id, NAMES[of_domains % 3])
            case "rotate" if kind is SYMMETRIC:
                return ring.rotations.rotate_on_demand(key_id)
            case "domain":
                return self.rotate_domain_of(ring, key_id)
            case "finish":
                return self.finish_one(ring)
            case "create":
                return self.create(ring, (SYMMETRIC, PAIR)[of_keys % 2], ("", *NAMES)[of_domains])
            case "bring" if kind is IMPORTED:
                return self.bring(ring, key_id)
            case _:
                return self.encrypt(ring, key_id, kind)

    async def rotate_domain_of(self, ring, key_id):
        await ring.domains.rotate(ring.domains.of_key(key_id).domain_id)

    async def create(self, ring, kind, domain):
        made = await ring.create_key("x", {}, kind._replace(domain=domain))
        self.keys.append((made.key_id, kind))

    async def encrypt(self, ring, key_id, kind):
        if kind is PAIR:
            await ring.envelope.open(ring.records.find(KeyById(key_id)).record)
            return
        plaintext = f"{key_id} {len(self.sealed)}".encode()
        made = await ring.encrypt(KeyById(key_id), Secret(plaintext), {})
        self.sealed.append((key_id, plaintext, made.ciphertext))

    async def bring(self, ring, key_id):
        parameters = self.parameters or await ring.imports.parameters(
            key_id, WrappingAlgorithm.RSAES_OAEP_SHA_256, 2048
        )
        self.parameters = None  # it is another one's turn: the token may be out of date
        wrapped = load_der_public_key(parameters.public_key).encrypt(MATERIAL, OAEP)
        await ring.imports.bring(key_id, BroughtMaterial(parameters.token, wrapped, None))
        self.parameters = parameters

    def finish(self, *rings):
        return [
            self.rings[ring].domain_rotations.finish(domain.domain_id, pause_s=0.0)
            for ring in rings
            for domain in self.store.list_replaced_domains()
        ]

    async def finish_one(self, ring):
        for domain in self.store.list_replaced_domains()[:1]:
            await ring.domain_rotations.finish(domain.domain_id, pause_s=0.0)

    @rule(acts=st.lists(ACTS, min_size=1, max_size=4))
    def do(self, acts):
        self.run(*(self.act(*act) for act in acts))

    @rule()
    def finish_in_both_processes(self):
        self.run(*self.finish(0, 1))

    @rule(of_keys=st.integers(0, 99), act=ACTS)
    def end_of_a_key(self, of_keys, act):
        living = [key_id for key_id, kind in self.keys if kind is not IMPORTED and key_id not in self.gone]
        if len(living) < 3:
            return
        key_id = living[of_keys % len(living)]
        self.run(self.rings[0].lifecycle.schedule_destruction(key_id, days=7))
        self.bench.clock.advance(8 * DAY_S)
        self.run(self.act(*act), self.rings[1].lifecycle.destroy_due(key_id), self.finish_one(self.rings[0]))
        self.gone.add(key_id)

    @rule(act=ACTS)
    def the_material_goes(self, act):
        key_id = next(key_id for key_id, kind in self.keys if kind is IMPORTED)
        self.run(self.rings[0].imports.delete(key_id), self.act(*act))

    @invariant()
    def everything_is_under_a_kek_that_is_there_and_counted(self):
        if not self.keys:
            return
        assert_counts_are_true(self.store)
        domains = {domain.domain_id: domain for domain in self.store.list_domains(after="", limit=1_000)}
        for key_id, under in blobs_under(self.store).items():
            home = domains[self.store.get_key(key_id).domain_id]
            assert under <= {home.domain_id, home.replaced_by}
            assert under <= domains.keys()
        assert all(domain.key_count <= 6 for domain in domains.values())


def run_machine(folder, made, **options):
    machine = type("DomainMachine", (DomainMachine,), {"made_once": made, "folder": folder})
    case = machine.TestCase
    # What threads do at the same time comes out differently each time: nothing to be made smaller, or kept.
    phases = [Phase.explicit, Phase.generate]
    case.settings = settings(deadline=None, database=None, phases=phases, **options)
    case("runTest").runTest()


@pytest.fixture
def small_domains(monkeypatch):
    monkeypatch.setattr("strongroom.keyring._creation.MAX_KEYS_IN_DOMAIN", 6)
    monkeypatch.setattr("strongroom.keyring._domain_rotation._PART", 2)
    seal, pauses = KekCiphers.seal, itertools.cycle((0.0, 0.004, 0.0, 0.002, 0.008))

    async def sealed_slowly(self, *what):
        sealed = await seal(self, *what)
        await asyncio.sleep(next(pauses))  # and meanwhile others store what they have
        return sealed

    monkeypatch.setattr(KekCiphers, "seal", sealed_slowly)
    made = make_wrapping_key(WrappingAlgorithm.RSAES_OAEP_SHA_256, 2048, valid_to=0.0)
    monkeypatch.setattr(  # an RSA key for each import would be most of the time
        "strongroom.keyring._imports.make_wrapping_key",
        lambda _algorithm, _bits, *, valid_to: made._replace(valid_to=valid_to),
    )


@pytest.mark.usefixtures("small_domains")
def test_any_short_history_loses_nothing(tmp_path, hsm_and_database):
    run_machine(tmp_path, hsm_and_database, max_examples=8, stateful_step_count=20)


@pytest.mark.slow
@pytest.mark.usefixtures("small_domains")
def test_any_long_history_loses_nothing(tmp_path, hsm_and_database):
    run_machine(tmp_path, hsm_and_database, max_examples=100, stateful_step_count=50)

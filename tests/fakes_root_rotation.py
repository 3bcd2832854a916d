"""A keyring under a fake HSM whose root is rotated: a second root, published as main does it."""

from strongroom.core import Deadline, RootId, Secret, WrapAlgorithm, random_bytes
from strongroom.hsm.cluster import make_canary
from strongroom.keyring import KeyById, RootRewrapping
from strongroom.storage import RootRecord, RootRotationRecord, RootState, RotationState
from strongroom.testing import FakeMember

CONTEXT = {"tenant": "blue"}


class RotatedBench:
    """``bench`` (``KeyringBench``) with domains, keys and what each of these encrypted; ``rotate`` gives it a new root."""

    def __init__(self, bench):
        self.bench = bench
        self.hsm = bench.cluster.hsm
        self.member = FakeMember(self.hsm)
        self.store = bench.open_store()
        self.keyring = bench.open_keyring(store=self.store)
        self.sealed = {}
        self.rewrapping = RootRewrapping(self.store, self.member, clock=bench.clock, request_s=10.0)

    async def make_keys(self, n_domains):
        """Make domains of one key each, and have every key encrypt its own id."""
        for _ in range(n_domains):
            root_id = RootId(self.store.get_current_root().root_id)
            domain = await self.keyring.ciphers.new_domain(root_id, "shard")
            await self.store.write(lambda tx, domain=domain: tx.insert_domain(domain._replace(key_count=0)))
            info = await self.keyring.create_key("a key")
            key = KeyById(info.key_id)
            made = await self.keyring.encrypt(key, Secret(info.key_id.encode()), CONTEXT)
            self.sealed[info.key_id] = made.ciphertext
            await self.store.write(self._fill(self.store.get_key(info.key_id).domain_id))

    def _fill(self, domain_id):
        """The next key gets another domain."""

        def fill(tx):
            for _ in range(999):
                tx.count_key_in_domain(domain_id)

        return fill

    async def rotate(self, *, domains_per_s=1000.0):
        """Publish another root, and begin a rotation to it."""
        root_id = RootId(random_bytes(16))
        check = self.hsm.generate_root(root_id, "root")
        deadline = Deadline.after(self.bench.clock, 10.0)
        algorithm = WrapAlgorithm.HSM_AES_GCM
        canary = await make_canary(root_id, self.member, algorithm=algorithm, deadline=deadline)
        now = self.bench.clock.now()
        record = RootRecord(root_id, 1, "CKA_CHECK_VALUE", check, canary.blob, canary.digest, now)
        n_domains = sum(self.store.count_domains_by_root().values())
        rotation = RootRotationRecord(
            str(len(self.store.list_root_rotations())) * 36,
            RotationState.REWRAPPING,
            "local/1000",
            now,
            domains_per_s,
            root_id,
            now,
            n_domains,
        )

        def publish(tx):
            tx.insert_root(record._replace(state=RootState.PENDING))
            tx.publish_root(record)
            tx.insert_root_rotation(rotation)

        await self.store.write(publish)
        return record

    async def require_every_key_works(self):
        """Every key decrypts what it encrypted before, with nothing in memory."""
        fresh = self.bench.open_keyring(store=self.store)
        for key_id, ciphertext in self.sealed.items():
            opened = await fresh.decrypt(ciphertext, CONTEXT, key=None)
            assert opened.plaintext.reveal() == key_id.encode()

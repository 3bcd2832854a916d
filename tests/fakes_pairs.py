"""The half of ``FakeKeyService`` that signs: real checks and real keys, but everything in memory and unsealed."""

from typing import NamedTuple

from strongroom.core import KeyOrigin, Secret
from strongroom.keyring import DataKeyPair, DryRunError, ReEncrypted, UnfitRequestError, generate_material
from strongroom.keyring._slow_work import SlowWork
from strongroom.keyring._software_work import software_work
from strongroom.keyring._uses import KeyUses
from strongroom.storage import KeyRecord


class _Held(NamedTuple):
    record: KeyRecord


class _Records:
    """Finds a fake's keys as ``KeyRecords`` would."""

    def __init__(self, fake):
        self._fake = fake

    def find(self, key):
        info = self._fake._key(key)
        of_key = (info.key_id, info.state, info.description, info.created_at)
        record = KeyRecord(*of_key, "0" * 36, 1, info.material_id, info.destroy_at)
        return _Held(record._replace(spec=info.spec, usage=info.usage, origin=info.origin))


class _Works:
    def __init__(self):
        self.opened = {}
        self.slow = SlowWork("fake-signing", threads=1, max_under_way=100)

    def make(self, info):
        material = generate_material(info.spec)
        self.opened[info.key_id] = software_work(info.spec, material.secret.reveal(), self.slow)

    async def open(self, record):
        return self.opened[record.key_id]


class FakePairs:
    """Implements ``AsymmetricService`` beside the other halves of the fake, which it uses for symmetric keys."""

    def _start_pairs(self):
        self.works = _Works()
        self.uses = KeyUses(
            _Records(self), {KeyOrigin.AWS_KMS: self.works}, self.works.slow, None
        )  # nothing is limited here

    async def sign(self, caller, key, message, *, algorithm, kind, dry_run):
        self._begin("Sign", caller)
        return await self.uses.sign(key, algorithm, message, kind, dry_run=dry_run)

    async def verify(self, caller, key, message, *, signature, algorithm, kind, dry_run):
        self._begin("Verify", caller)
        return await self.uses.verify(key, algorithm, message, kind, signature, dry_run=dry_run)

    async def generate_mac(self, caller, key, message, *, algorithm, dry_run):
        self._begin("GenerateMac", caller)
        return await self.uses.generate_mac(key, algorithm, message, dry_run=dry_run)

    async def verify_mac(self, caller, key, message, *, mac, algorithm, dry_run):
        self._begin("VerifyMac", caller)
        return await self.uses.verify_mac(key, algorithm, message, mac, dry_run=dry_run)

    async def get_public_key(self, caller, key):
        self._begin("GetPublicKey", caller)
        return await self.uses.public_key(key)

    async def derive_shared_secret(self, caller, key, *, peer_public_key, dry_run):
        self._begin("DeriveSharedSecret", caller)
        return await self.uses.derive(key, peer_public_key, dry_run=dry_run)

    async def generate_data_key_pair(self, caller, key, *, spec, context, dry_run):
        self._begin("GenerateDataKeyPair", caller)
        return self._pair(key, spec, context, dry_run=dry_run)

    async def generate_data_key_pair_without_plaintext(self, caller, key, *, spec, context, dry_run):
        self._begin("GenerateDataKeyPairWithoutPlaintext", caller)
        made = self._pair(key, spec, context, dry_run=dry_run)
        made.private_key.zeroize()
        return made

    def _pair(self, key, spec, context, *, dry_run):
        info = self._symmetric(key, dry_run=dry_run)
        made = generate_material(spec)
        sealed = self._seal(info, made.secret.reveal(), context)
        return DataKeyPair(info.key_id, info.material_id, made.public_key, made.secret, sealed)

    def _symmetric(self, key, *, dry_run):
        info = self._key(key, usable=True)
        if dry_run:
            raise DryRunError(key_id=info.key_id, material_id=info.material_id)
        return info

    async def encrypt_by(self, caller, key, plaintext, *, algorithm, context, dry_run):
        if algorithm is None:
            made = await self.encrypt(caller, key, plaintext, context=context)
            self._symmetric(key, dry_run=dry_run)
            return made
        self._begin("Encrypt", caller)
        return await self.uses.encrypt_oaep(key, plaintext, algorithm, dry_run=dry_run)

    async def decrypt_by(self, caller, ciphertext, *, key, algorithm, context, dry_run):
        if algorithm is None:
            opened = await self.decrypt(caller, ciphertext, key=key, context=context)
            if dry_run:
                raise DryRunError(key_id=opened.key_id, material_id=opened.material_id)
            return opened
        self._begin("Decrypt", caller)
        if key is None:
            raise UnfitRequestError(
                "KeyId is required when the ciphertext was encrypted under an asymmetric key."
            )
        return await self.uses.decrypt_oaep(key, ciphertext, algorithm, dry_run=dry_run)

    async def re_encrypt_by(
        self, caller, ciphertext, *, source_key, source_algorithm, source_context, **target
    ):
        opened = await self.decrypt_by(
            caller,
            ciphertext,
            key=source_key,
            algorithm=source_algorithm,
            context=source_context,
            dry_run=False,
        )
        key = target.pop("key")
        made = await self.encrypt_by(caller, key, Secret(opened.plaintext.reveal()), **target)
        return ReEncrypted(opened.key_id, opened.material_id, made.key_id, made.material_id, made.ciphertext)

    async def generate_data_key_dry(self, caller, key, *, n_bytes, context, verb):  # the Protocol's shape
        self._begin(verb, caller)
        self._symmetric(key, dry_run=True)

"""What the tests of the api room share: a key service that works, a clock, a small client, signing."""

import json
from typing import NamedTuple

from cryptography.exceptions import InvalidTag

from fakes_access import FakeAccess
from fakes_admin import FakeAdmin
from fakes_custody_service import FakeCustody
from fakes_domains import FakeDomains
from fakes_imports import FakeImports
from fakes_key_management import FakeKeyManagement
from fakes_key_stores import FakeKeyStores
from fakes_pairs import FakePairs
from fakes_rotation import FakeRotation
from strongroom.api import Handler, Request, sign_request
from strongroom.core import AuditUnavailableError, RootStanding, Secret, encode_pairs, random_bytes
from strongroom.keyring import (
    Connection,
    DataKey,
    Decrypted,
    Encrypted,
    IncorrectKeyError,
    InvalidCiphertextError,
    ReEncrypted,
)
from strongroom.service import Credential

ACCOUNT = "123456789012"
REGION = "eu-central-1"
ACCESS_KEY = "AKIDDEVELOPER"
SECRET_KEY = "developer-secret-that-nobody-may-see"
HOST = "localhost:8443"
NOW = 1_790_000_000.0


class FixedClock:
    """Stands still until told; monotonic time ticks a millisecond a look."""

    def __init__(self, now=NOW):
        self.at = now
        self._ticks = 0

    def now(self):
        return self.at

    def monotonic(self):
        self._ticks += 1
        return self._ticks / 1000


class Health:
    def __init__(self):
        self.reasons = []

    def roots(self):
        return RootStanding([], None)

    def readiness(self):
        return self.reasons

    def status(self):
        return {"members": [{"name": "alpha", "state": "active"}]}

    def metrics(self):
        return "strongroom_members_active 2\n"


class FakeKeyService(
    FakeAdmin, FakeAccess, FakePairs, FakeKeyManagement, FakeRotation, FakeImports, FakeKeyStores, FakeDomains, FakeCustody
):  # fmt: skip
    """A KeyService in memory with real encryption. ``outcomes`` and ``refusals`` are its audit log."""

    def __init__(self, clock):
        super().__init__(clock)
        FakeRotation.__init__(self)
        FakeImports.__init__(self)
        self._start_pairs()
        self._start_access()
        self.start_key_stores()
        self.start_domains()
        self.start_custody()
        self.credentials = {ACCESS_KEY: Credential(ACCESS_KEY, "user/developer", Secret(SECRET_KEY.encode()))}
        self.refusals = []
        self.audit_broken = False

    def _made(self, info):
        if not info.spec.is_symmetric:
            self.works.make(info)

    async def create_key(self, caller, *, kind=None, **asked):
        info = await super().create_key(caller, kind=kind, **asked)
        if kind is not None and kind.domain:
            self.put_into_domain(info.key_id, kind.domain)
        if kind is not None and kind.store_id:
            del self.keys[info.key_id]  # unless the store takes it
            store = self._store(kind.store_id, connection=Connection.CONNECTED)
            info = info._replace(store_id=store.store_id, cluster_id=store.cluster_id)
            self.keys[info.key_id] = info
        return info

    def find_credential(self, access_key_id):
        return self.credentials.get(access_key_id)

    async def record_refusal(self, refusal):
        if self.audit_broken:
            raise AuditUnavailableError("no space left on device")
        self.refusals.append(refusal)

    async def read_status(self, caller):
        self._begin("ReadStatus", caller)

    async def get_caller_identity(self, caller):
        self._begin("GetCallerIdentity", caller)

    async def generate_data_key(self, caller, key, *, n_bytes, context):
        self._begin("GenerateDataKey", caller)
        info, plaintext = self._key(key, usable=True), random_bytes(n_bytes)
        return DataKey(info.key_id, info.material_id, Secret(plaintext), self._seal(info, plaintext, context))

    async def encrypt(self, caller, key, plaintext, *, context):
        self._begin("Encrypt", caller)
        info = self._key(key, usable=True)
        return Encrypted(info.key_id, info.material_id, self._seal(info, plaintext.reveal(), context))

    def _seal(self, info, plaintext, context):
        nonce = random_bytes(12)
        aad = encode_pairs("fake", context)
        return info.key_id.encode() + nonce + self.material[info.key_id].encrypt(nonce, plaintext, aad)

    async def decrypt(self, caller, ciphertext, *, key, context):
        self._begin("Decrypt", caller)
        return self._open(ciphertext, key, context)

    def _open(self, ciphertext, key, context):
        named = None if key is None else self._key(key, usable=True)
        key_id = ciphertext[:36].decode("latin-1")
        if key_id not in self.keys:
            raise InvalidCiphertextError
        if named is not None and named.key_id != key_id:
            raise IncorrectKeyError
        info = self._key(key_id, usable=True)
        try:
            aad = encode_pairs("fake", context)
            opened = self.material[key_id].decrypt(ciphertext[36:48], ciphertext[48:], aad)
        except (InvalidTag, ValueError):
            raise InvalidCiphertextError from None
        return Decrypted(key_id, info.material_id, Secret(opened))

    async def generate_data_key_without_plaintext(self, caller, key, *, n_bytes, context):
        self._begin("GenerateDataKeyWithoutPlaintext", caller)
        info = self._key(key, usable=True)
        return Encrypted(info.key_id, info.material_id, self._seal(info, random_bytes(n_bytes), context))

    async def re_encrypt(self, caller, ciphertext, *, source_key, source_context, key, context):
        self._begin("ReEncrypt", caller)
        info = self._key(key, usable=True)
        opened = self._open(ciphertext, source_key, source_context)
        sealed = self._seal(info, opened.plaintext.reveal(), context)
        return ReEncrypted(opened.key_id, opened.material_id, info.key_id, info.material_id, sealed)

    async def generate_random(self, caller, *, n_bytes, store_id=None):
        self._begin("GenerateRandom", caller)
        if store_id is not None:
            self._store(store_id, connection=Connection.CONNECTED)
        return Secret(random_bytes(n_bytes))


class Answer(NamedTuple):
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["__type"] if self.status != 200 else "OK"

    @property
    def message(self):
        return self.json["message"]


async def send_request(handler, method, path, headers, body, *, query=""):
    """Hand a request to a handler, as a connection would."""
    named = tuple((name.lower(), value) for name, value in headers)
    response = await handler.handle(Request(method, path, query, named, body, "127.0.0.1"))
    answered = dict(line.split(": ", 1) for line in response.head.decode().splitlines())
    return Answer(response.status, answered, response.body)


class Api:
    """The application under test, with signed calls as a client would make them."""

    def __init__(self):
        self.clock = FixedClock()
        self.service = FakeKeyService(self.clock)
        self.health = Health()
        self.handler = Handler(self.service, self.health, clock=self.clock, account_id=ACCOUNT)
        self.sent = 0

    def sign(
        self, body, *, target, region=REGION, method="POST", path="/", secret=SECRET_KEY, query="", **headers
    ):
        named = {"Content-Type": "application/x-amz-json-1.1"}
        if target is not None:
            named["X-Amz-Target"] = target
        return sign_request(
            method=method, path=path, host=HOST, headers={**named, **headers}, body=body, query=query,
            access_key_id=ACCESS_KEY, secret_access_key=Secret(secret.encode()), region=region, clock=self.clock,
        )  # fmt: skip

    async def send(self, method, path, headers, body=b"", *, query=""):
        self.sent += 1
        pairs = list(headers.items()) if isinstance(headers, dict) else headers
        return await send_request(self.handler, method, path, pairs, body, query=query)

    async def raw(self, operation, body, **options):
        headers = self.sign(body, target=f"TrentService.{operation}", **options)
        return await self.send("POST", "/", headers, body)

    async def call(self, operation, members=None, **options):
        return await self.raw(operation, json.dumps(members or {}).encode(), **options)

    async def new_key(self, **members):
        return (await self.call("CreateKey", members)).json["KeyMetadata"]["KeyId"]

    def arn(self, key_id, region=REGION):
        return f"arn:aws:kms:{region}:{ACCOUNT}:key/{key_id}"

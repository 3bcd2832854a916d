"""What the tests of the api room share: a key service that works, a clock, a small client, signing."""

import hashlib
import json
import uuid
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.api import Handler, Request, sign_request
from strongroom.core import AuditUnavailableError, KeyState, Secret, encode_pairs, random_bytes
from strongroom.keyring import (
    AliasExistsError,
    AliasInfo,
    AliasNotFoundError,
    AliasPage,
    DataKey,
    Decrypted,
    Encrypted,
    IncorrectKeyError,
    InvalidCiphertextError,
    KeyByAlias,
    KeyInfo,
    KeyNotFoundError,
    KeyPage,
    KeyStateError,
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

    def readiness(self):
        return self.reasons

    def status(self):
        return {"members": [{"name": "alpha", "state": "active"}]}

    def metrics(self):
        return "strongroom_members_active 2\n"


class FakeKeyService:
    """A KeyService in memory with real encryption. ``outcomes`` and ``refusals`` are its audit log."""

    def __init__(self, clock):
        self._clock = clock
        self.credentials = {ACCESS_KEY: Credential(ACCESS_KEY, "user/developer", Secret(SECRET_KEY.encode()))}
        self.keys = {}
        self.material = {}
        self.aliases = {}
        self.outcomes = []
        self.refusals = []
        self.fail_with = None
        self.audit_broken = False

    def find_credential(self, access_key_id):
        return self.credentials.get(access_key_id)

    async def record_refusal(self, refusal):
        if self.audit_broken:
            raise AuditUnavailableError("no space left on device")
        self.refusals.append(refusal)

    def _begin(self, verb, caller):
        self.outcomes.append((verb, caller))
        if self.fail_with is not None:
            raise self.fail_with

    async def read_status(self, caller):
        self._begin("ReadStatus", caller)

    def _key(self, ref, *, usable=False):
        if isinstance(ref, KeyByAlias):
            if ref.alias_name not in self.aliases:
                raise AliasNotFoundError(ref.alias_name)
            key_id = self.aliases[ref.alias_name].target_key_id
        else:
            key_id = ref if isinstance(ref, str) else ref.key_id
        if key_id not in self.keys:
            raise KeyNotFoundError(key_id)
        info = self.keys[key_id]
        if usable and info.state is not KeyState.ACTIVE:
            raise KeyStateError(key_id, info.state)
        return info

    async def create_key(self, caller, *, description):
        self._begin("CreateKey", caller)
        key_id, material = str(uuid.uuid4()), random_bytes(32)
        material_id = hashlib.sha256(material).hexdigest()
        self.material[key_id] = AESGCM(material)
        self.keys[key_id] = KeyInfo(key_id, KeyState.ACTIVE, description, self._clock.now(), material_id)
        return self.keys[key_id]

    async def describe_key(self, caller, key):
        self._begin("DescribeKey", caller)
        return self._key(key)

    async def list_keys(self, caller, *, limit, after):
        self._begin("ListKeys", caller)
        ids = sorted(key_id for key_id in self.keys if after is None or key_id > after)
        shown = tuple(self.keys[key_id] for key_id in ids[:limit])
        return KeyPage(shown, shown[-1].key_id if len(ids) > limit else None)

    async def create_alias(self, caller, *, alias_name, target_key_id):
        self._begin("CreateAlias", caller)
        if alias_name in self.aliases:
            raise AliasExistsError(alias_name)
        self._key(target_key_id)
        now = self._clock.now()
        self.aliases[alias_name] = AliasInfo(alias_name, target_key_id, now, now)
        return self.aliases[alias_name]

    async def list_aliases(self, caller, *, key_id, limit, after):
        self._begin("ListAliases", caller)
        if key_id is not None:
            self._key(key_id)
        names = sorted(
            name
            for name, info in self.aliases.items()
            if (after is None or name > after) and key_id in {None, info.target_key_id}
        )
        shown = tuple(self.aliases[name] for name in names[:limit])
        return AliasPage(shown, shown[-1].alias_name if len(names) > limit else None)

    async def enable_key(self, caller, key_id):
        self._begin("EnableKey", caller)
        self.keys[key_id] = self._key(key_id)._replace(state=KeyState.ACTIVE)

    async def disable_key(self, caller, key_id):
        self._begin("DisableKey", caller)
        self.keys[key_id] = self._key(key_id)._replace(state=KeyState.SUSPENDED)

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
    answered = {name.decode(): value.decode() for name, value in response.headers}
    return Answer(response.status, answered, response.body)


class Api:
    """The application under test, with signed calls as a client would make them."""

    def __init__(self):
        self.clock = FixedClock()
        self.service = FakeKeyService(self.clock)
        self.health = Health()
        self.handler = Handler(self.service, self.health, clock=self.clock, account_id=ACCOUNT)

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
        pairs = list(headers.items()) if isinstance(headers, dict) else headers
        return await send_request(self.handler, method, path, pairs, body, query=query)

    async def raw(self, operation, body, **options):
        headers = self.sign(body, target=f"TrentService.{operation}", **options)
        return await self.send("POST", "/", headers, body)

    async def call(self, operation, members=None, **options):
        return await self.raw(operation, json.dumps(members or {}).encode(), **options)

    async def new_key(self):
        return (await self.call("CreateKey")).json["KeyMetadata"]["KeyId"]

    def arn(self, key_id, region=REGION):
        return f"arn:aws:kms:{region}:{ACCOUNT}:key/{key_id}"

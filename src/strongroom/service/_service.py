"""``Service``: every verb of the data plane. Here are those that use keys; ``_audited`` tells which way all go."""

from collections.abc import Mapping

from strongroom.audit import AuditLog
from strongroom.core import NoMemberError, Secret
from strongroom.keyring import DataKey, Decrypted, Encrypted, KeyRef, Keyring, ReEncrypted
from strongroom.service._admin import AdminVerbs
from strongroom.service._asymmetric import AsymmetricVerbs
from strongroom.service._authority import Source
from strongroom.service._batches import BatchVerbs
from strongroom.service._cryptoperiods import CryptoperiodVerbs
from strongroom.service._destruction import DestructionVerbs
from strongroom.service._domains import DomainVerbs
from strongroom.service._facts import detail_of_request
from strongroom.service._grants import GrantVerbs
from strongroom.service._immediate import ImmediateVerbs
from strongroom.service._imports import ImportVerbs
from strongroom.service._key_authority import KeyAuthority
from strongroom.service._key_stores import KeyStoreVerbs
from strongroom.service._last_uses import UsageVerbs
from strongroom.service._management import ManagementVerbs
from strongroom.service._policies import PolicyVerbs
from strongroom.service._quotas import Quotas
from strongroom.service._refusals import Refusals, write_refusal
from strongroom.service._values import Caller, Credential, Refusal
from strongroom.service._versions import VersionVerbs


class Service(
    ManagementVerbs,
    BatchVerbs,
    AsymmetricVerbs,
    ImmediateVerbs,
    CryptoperiodVerbs,
    ImportVerbs,
    UsageVerbs,
    VersionVerbs,
    PolicyVerbs,
    GrantVerbs,
    KeyStoreVerbs,
    DestructionVerbs,
    DomainVerbs,
    AdminVerbs,
):
    """All verbs, over a keyring and an audit log (``KeyService``, ``ImmediateService``). Belongs to one event loop."""

    def __init__(
        self,
        keyring: Keyring,
        audit: AuditLog,
        *,
        policy: KeyAuthority,
        quotas: Quotas | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        """Without ``refusals`` every refusal is an entry of its own."""
        super().__init__(keyring, audit, policy=policy, quotas=quotas)
        keyring.cryptoperiods.rotate = self.rotate_key_that_is_over
        self._credentials: dict[str, Credential] | None = None
        self._refusals = refusals

    @property
    def has_credentials(self) -> bool:
        """Whether the secrets of access keys could be unwrapped: before that nobody can be recognised."""
        return self._credentials is not None

    def take_credentials(self, credentials: Mapping[str, Credential]) -> None:
        """Recognise these callers from now on, and no others."""
        self._credentials = dict(credentials)

    def find_credential(self, access_key_id: str) -> Credential | None:
        """Look up an access key; None when there is none that is active.

        Raises NoMemberError while no HSM has unwrapped the secrets.
        """
        if self._credentials is None:
            raise NoMemberError(
                "no HSM has unwrapped the secrets of access keys yet",
                next_step="see 'strongroom status' for the members",
            )
        return self._credentials.get(access_key_id)

    async def record_refusal(self, refusal: Refusal) -> None:
        """Write the audit entry of a request that got no further than the door, or count it (``Refusals``)."""
        if self._refusals is None:
            await write_refusal(self._audit, refusal)
        else:
            await self._refusals.record(refusal)

    async def read_status(self, caller: Caller) -> None:
        """Check and record that a caller looks at the state of the service."""

        async def act() -> None:
            return None

        await self._use(caller, "ReadStatus", act())

    async def get_caller_identity(self, caller: Caller) -> None:
        """Record that a caller asks who it is; everybody may."""

        async def act() -> None:
            return None

        await self._use(caller, "GetCallerIdentity", act())

    async def generate_data_key(
        self, caller: Caller, key: KeyRef, *, n_bytes: int, context: Mapping[str, str]
    ) -> DataKey:
        """Make a data key."""
        work = self._keyring.generate_data_key(key, n_bytes, context)
        detail = detail_of_request(key, context)
        return await self._use(caller, "GenerateDataKey", work, key=key, context=context, detail=detail)

    async def encrypt(
        self, caller: Caller, key: KeyRef, plaintext: Secret, *, context: Mapping[str, str]
    ) -> Encrypted:
        """Encrypt a little data."""
        work = self._keyring.encrypt(key, plaintext, context)
        detail = detail_of_request(key, context)
        return await self._use(caller, "Encrypt", work, key=key, context=context, detail=detail)

    async def decrypt(
        self, caller: Caller, ciphertext: bytes, *, key: KeyRef | None, context: Mapping[str, str]
    ) -> Decrypted:
        """Decrypt what was encrypted here."""
        work = self._keyring.decrypt(ciphertext, context, key=key)
        detail = detail_of_request(key, context)
        return await self._use(
            caller, "Decrypt", work, key=key, ciphertext=ciphertext, context=context, detail=detail
        )

    async def generate_data_key_without_plaintext(
        self, caller: Caller, key: KeyRef, *, n_bytes: int, context: Mapping[str, str]
    ) -> Encrypted:
        """Make a data key that nobody sees before it is decrypted."""
        work = self._keyring.generate_wrapped_data_key(key, n_bytes, context)
        detail = detail_of_request(key, context)
        return await self._use(
            caller, "GenerateDataKeyWithoutPlaintext", work, key=key, context=context, detail=detail
        )

    async def re_encrypt(
        self,
        caller: Caller,
        ciphertext: bytes,
        *,
        source_key: KeyRef | None,
        source_context: Mapping[str, str],
        key: KeyRef,
        context: Mapping[str, str],
    ) -> ReEncrypted:
        """Decrypt and encrypt anew; the caller sees no plaintext."""
        work = self._keyring.re_encrypt(
            ciphertext, source_key=source_key, source_context=source_context, key=key, context=context
        )
        detail = detail_of_request(key, context) | {
            f"source_{name}": text for name, text in detail_of_request(source_key, source_context).items()
        }
        source_key_id = self._keyring.identify(source_key, ciphertext)
        if source_key_id is not None:
            detail["source_key"] = source_key_id
        source = Source(source_key, ciphertext, source_context)
        return await self._use(
            caller, "ReEncrypt", work, key=key, context=context, source=source, detail=detail
        )

    async def generate_random(self, caller: Caller, *, n_bytes: int, store_id: str | None = None) -> Secret:
        """Draw random bytes that the HSM has a part in."""
        work = self._keyring.generate_random(n_bytes, store_id)
        detail = {} if store_id is None else {"store": store_id}
        return await self._use(caller, "GenerateRandom", work, detail=detail)

"""Who calls, and what the service promises to whoever renders its answers."""

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from strongroom.core import Secret
from strongroom.keyring import (
    AliasInfo,
    AliasPage,
    DataKey,
    Decrypted,
    Encrypted,
    KeyInfo,
    KeyKind,
    KeyPage,
    KeyRef,
    ReEncrypted,
    TagPage,
)
from strongroom.service._access_protocols import GrantService, PolicyService
from strongroom.service._admin_protocol import AdminService
from strongroom.service._asymmetric_protocol import AsymmetricService
from strongroom.service._batch_protocol import BatchService
from strongroom.service._caller import Caller
from strongroom.service._cryptoperiods_protocol import CryptoperiodService
from strongroom.service._custody_protocol import CustodyService
from strongroom.service._domains_protocol import DomainService
from strongroom.service._imports_protocol import ImportService
from strongroom.service._key_stores_protocol import KeyStoreService
from strongroom.service._last_uses_protocol import UsageService
from strongroom.service._rotation_protocol import RotationService
from strongroom.service._versions_protocol import VersionService

__all__ = ["Caller", "Credential", "KeyService", "Refusal"]


class Credential(NamedTuple):
    """An access key as the verifier of signatures needs it."""

    access_key_id: str
    principal: str
    secret_access_key: Secret


class Refusal(NamedTuple):
    """A request that was refused before any service function could run."""

    operation: str
    """As far as it is known, else ``-``."""
    error_code: str
    access_key_id: str
    """As the request claims it, or the identity of its client certificate, else ``-``."""
    source_address: str
    request_id: str
    principal: str = ""
    """Who was recognised before the request was refused; empty of strangers, of whom not every one gets an entry."""


class KeyService(
    AsymmetricService,
    BatchService,
    RotationService,
    ImportService,
    UsageService,
    CryptoperiodService,
    VersionService,
    PolicyService,
    GrantService,
    DomainService,
    KeyStoreService,
    CustodyService,
    AdminService,
    Protocol,
):
    """Every verb of the data plane. Each checks the policy, acts, and returns once its audit entry is durable.

    Raises, besides what each names: AccessDeniedError, AuditUnavailableError, StorageError, HsmError (NoMemberError when
    no HSM answered and nothing cached serves), and the errors of ``strongroom.keyring``.
    """

    def find_credential(self, access_key_id: str) -> Credential | None:
        """Look up an access key; None when there is none that is active.

        Raises NoMemberError while no HSM has unwrapped the secrets.
        """
        ...

    async def record_refusal(self, refusal: Refusal) -> None:
        """Write the audit entry of a request that got no further. Raises AuditUnavailableError."""
        ...

    async def read_status(self, caller: Caller) -> None:
        """Authorise and record that the caller looks at the state of the service."""
        ...

    async def get_caller_identity(self, caller: Caller) -> None:
        """Record that the caller asks who it is; everybody may."""
        ...

    async def create_key(
        self,
        caller: Caller,
        *,
        description: str,
        tags: Mapping[str, str] | None = None,
        kind: KeyKind | None = None,
        skip_lockout_check: bool = False,
    ) -> KeyInfo:
        """Create a key, a symmetric one unless ``kind`` says otherwise. Raises TagLimitError, TooBusyError.

        With a policy in ``kind`` also as ``put_key_policy``.
        """
        ...

    async def describe_key(self, caller: Caller, key: KeyRef) -> KeyInfo:
        """Tell about a key."""
        ...

    async def list_keys(self, caller: Caller, *, limit: int, after: str | None) -> KeyPage:
        """List keys, ``limit`` 1 to 1,000."""
        ...

    async def create_alias(self, caller: Caller, *, alias_name: str, target_key_id: str) -> AliasInfo:
        """Create an alias. Raises AliasExistsError, AliasLimitError, DestructionScheduledError."""
        ...

    async def update_alias(self, caller: Caller, *, alias_name: str, target_key_id: str) -> None:
        """Let an alias point to another key. Raises as ``create_alias``, and AliasNotFoundError."""
        ...

    async def delete_alias(self, caller: Caller, *, alias_name: str) -> None:
        """Remove an alias. Raises AliasNotFoundError."""
        ...

    async def list_aliases(
        self, caller: Caller, *, key_id: str | None, limit: int, after: str | None
    ) -> AliasPage:
        """List aliases, of one key or of all."""
        ...

    async def enable_key(self, caller: Caller, key_id: str) -> None:
        """Make a suspended key active; no effect on an active one. Raises DestructionScheduledError."""
        ...

    async def disable_key(self, caller: Caller, key_id: str) -> None:
        """Suspend a key; no effect on a suspended one. Raises DestructionScheduledError."""
        ...

    async def update_key_description(self, caller: Caller, key_id: str, *, description: str) -> None:
        """Describe a key anew, in up to 8,192 characters. Raises DestructionScheduledError."""
        ...

    async def schedule_key_deletion(self, caller: Caller, key_id: str, *, days: int) -> KeyInfo:
        """Suspend a key and set the date of its destruction, 7 to 30 days ahead. Raises DestructionScheduledError."""
        ...

    async def cancel_key_deletion(self, caller: Caller, key_id: str) -> None:
        """Take back the date of destruction; the key stays suspended. Raises DestructionNotScheduledError."""
        ...

    async def tag_resource(self, caller: Caller, key_id: str, *, tags: Mapping[str, str]) -> None:
        """Put tags on a key, all or none. Raises TagLimitError, DestructionScheduledError."""
        ...

    async def untag_resource(self, caller: Caller, key_id: str, *, names: Collection[str]) -> None:
        """Remove tags from a key, where it has them. Raises DestructionScheduledError."""
        ...

    async def list_resource_tags(
        self, caller: Caller, key_id: str, *, limit: int, after: str | None
    ) -> TagPage:
        """List a key's tags."""
        ...

    async def generate_data_key(
        self, caller: Caller, key: KeyRef, *, n_bytes: int, context: Mapping[str, str]
    ) -> DataKey:
        """Make a data key of 1 to 1,024 bytes."""
        ...

    async def encrypt(
        self, caller: Caller, key: KeyRef, plaintext: Secret, *, context: Mapping[str, str]
    ) -> Encrypted:
        """Encrypt 1 to 4,096 bytes."""
        ...

    async def decrypt(
        self, caller: Caller, ciphertext: bytes, *, key: KeyRef | None, context: Mapping[str, str]
    ) -> Decrypted:
        """Decrypt. Raises InvalidCiphertextError, IncorrectKeyError, KeyStateError."""
        ...

    async def generate_data_key_without_plaintext(
        self, caller: Caller, key: KeyRef, *, n_bytes: int, context: Mapping[str, str]
    ) -> Encrypted:
        """Make a data key of 1 to 1,024 bytes, and return it encrypted only."""
        ...

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
        """Decrypt, and encrypt under ``key``. Raises as ``decrypt`` and ``encrypt`` do."""
        ...

    async def generate_random(self, caller: Caller, *, n_bytes: int, store_id: str | None = None) -> Secret:
        """Draw 1 to 1,024 random bytes that the HSM has a part in."""
        ...

"""Who calls, and what the service promises to whoever renders its answers."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from strongroom.core import Secret
from strongroom.keyring import AliasInfo, AliasPage, DataKey, Decrypted, Encrypted, KeyInfo, KeyPage, KeyRef


class Caller(NamedTuple):
    """An authenticated caller and the request that it makes."""

    principal: str
    """Name of the principal, such as ``user/developer``."""
    access_key_id: str
    source_address: str
    region: str
    """From the credential scope of the signature; ARNs are rendered with it."""
    request_id: str


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
    """As the request claims it, else ``-``."""
    source_address: str
    request_id: str


class KeyService(Protocol):
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

    async def create_key(self, caller: Caller, *, description: str) -> KeyInfo:
        """Create an Envelope key."""
        ...

    async def describe_key(self, caller: Caller, key: KeyRef) -> KeyInfo:
        """Tell about a key."""
        ...

    async def list_keys(self, caller: Caller, *, limit: int, after: str | None) -> KeyPage:
        """List keys, ``limit`` 1 to 1,000."""
        ...

    async def create_alias(self, caller: Caller, *, alias_name: str, target_key_id: str) -> AliasInfo:
        """Create an alias. Raises AliasExistsError."""
        ...

    async def list_aliases(
        self, caller: Caller, *, key_id: str | None, limit: int, after: str | None
    ) -> AliasPage:
        """List aliases, of one key or of all."""
        ...

    async def enable_key(self, caller: Caller, key_id: str) -> None:
        """Make a suspended key active; no effect on an active one."""
        ...

    async def disable_key(self, caller: Caller, key_id: str) -> None:
        """Suspend a key; no effect on a suspended one."""
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

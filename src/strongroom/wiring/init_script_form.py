"""The form of the script of ``strongroom init`` (``wiring.init_script``): its tables, with the bounds of each field.

No field has room for a PIN, a passphrase or an access key, and unknown keys are refused.
"""

from typing import Annotated, Final, Literal

import msgspec

from strongroom.config import (
    CacheConfig,
    DeadlineConfig,
    LifecycleConfig,
    OidcConfig,
    PolicyConfig,
    QuotasConfig,
    ServiceConfig,
)
from strongroom.custody import QuorumRule
from strongroom.custody import Role as OfficerRole
from strongroom.service import Role as CallerRole

MAX_MEMBERS: Final = 16

_Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9-]{0,30}\Z")]
_OfficerId = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?\Z")]
_Words = Annotated[str, msgspec.Meta(pattern=r"\A[^\x00-\x1f\x7f]{1,200}\Z")]
_Path = Annotated[str, msgspec.Meta(pattern=r"\A[^\x00-\x1f\x7f]{1,1000}\Z")]
_Verb = Annotated[str, msgspec.Meta(pattern=r"\A[A-Z][A-Za-z0-9]{1,62}\Z")]
_Label = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9 ._-]{0,30}[A-Za-z0-9]\Z")]
"""CK_TOKEN_INFO has 32 bytes for a label, padded with blanks (PKCS#11 v3.1, 3.2)."""
_HostName = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9:.-]{1,253}\Z")]
_Principal = Annotated[str, msgspec.Meta(pattern=r"\A(?:user|role)/[A-Za-z0-9+=,.@_-]{1,64}\Z")]
_VariableName = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z_][A-Za-z0-9_]{0,100}\Z")]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A table of the script."""


class ScriptCluster(_Table, frozen=True):
    """The cluster as a whole."""

    name: _Words
    """What officers read in their genesis."""
    id: Annotated[str, msgspec.Meta(pattern=r"\Acluster-[2-7a-zA-Z]{11,16}\Z")] | None = None
    """As ``[cluster] id`` of strongroom.toml."""
    min_copies: Annotated[int, msgspec.Meta(ge=1, le=16)] | None = None
    max_direct_keys: Annotated[int, msgspec.Meta(ge=0, le=5_000)] | None = None


class ScriptSecret(_Table, frozen=True):
    """Where a secret is, never the secret: exactly one of the two."""

    file: _Path | None = None
    """Relative to the home, or absolute; mode 0400. Made when it is not there."""
    credential: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._-]{1,100}\Z")] | None = None
    """Name of a systemd credential."""


class ScriptPins(_Table, frozen=True):
    """How the user PINs of the members are kept on this host."""

    sealing_key: ScriptSecret = ScriptSecret(file="pins/sealing-key")
    """The key that they are sealed under."""


class ScriptTls(_Table, frozen=True):
    """A certificate authority of our own, whose key is used once. Left out: ``service`` names certificate and key."""

    make_for: Annotated[tuple[_HostName, ...], msgspec.Meta(min_length=1, max_length=20)]
    """Host names and addresses of the certificate."""


class ScriptMember(_Table, frozen=True):
    """One HSM, whose token is blank."""

    name: _Name
    profile: _Name
    module: _Path | None = None
    token_label: _Label | None = None
    """The label that the token gets; else ``strongroom-NAME``."""
    environment: Annotated[dict[_VariableName, _Path], msgspec.Meta(max_length=32)] = {}
    library_parameters: Annotated[str, msgspec.Meta(max_length=1000)] | None = None
    profile_changes: Annotated[
        dict[str, str | int | float | bool | list[str]], msgspec.Meta(max_length=60)
    ] = {}
    priority: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    calls_per_s: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] = 0.0
    security_officers: Annotated[tuple[_OfficerId, ...], msgspec.Meta(max_length=16)] = ()
    """To whom the PIN of the token's security officer is delivered; empty: to each security officer with a recipient."""

    @property
    def label(self) -> str:
        """The label that the token gets."""
        return self.token_label or f"strongroom-{self.name}"


class ScriptOfficer(_Table, frozen=True):
    """A person of the genesis."""

    id: _OfficerId
    name: _Words
    roles: Annotated[tuple[OfficerRole, ...], msgspec.Meta(min_length=1, max_length=6)]
    keys: Annotated[tuple[_Path, ...], msgspec.Meta(min_length=1, max_length=8)]
    """Lines of ``.pub`` files; comments are left out of the genesis."""
    principals: Annotated[tuple[_Words, ...], msgspec.Meta(max_length=16)] = ()
    recipient: Annotated[str, msgspec.Meta(pattern=r"\A[^\x00-\x1f\x7f]{0,1024}\Z")] = ""
    """Where deliveries are encrypted to: ``age1…`` or an ``ssh-ed25519`` line."""


class ScriptRule(_Table, frozen=True):
    """Who must approve a verb."""

    m: Annotated[int, msgspec.Meta(ge=1, le=16)]
    role: OfficerRole
    expires_s: Annotated[int, msgspec.Meta(ge=60, le=31 * 86_400)] = 86_400
    standing: bool = False

    def rule(self) -> QuorumRule:
        """Return it as it stands in a genesis."""
        return QuorumRule(m=self.m, role=self.role, expires_s=self.expires_s, standing=self.standing)


class ScriptAccessKey(_Table, frozen=True):
    """An access key that the home begins with."""

    principal: _Principal
    roles: Annotated[tuple[CallerRole, ...], msgspec.Meta(max_length=8)] = ()
    deliver_to: Annotated[tuple[_OfficerId, ...], msgspec.Meta(max_length=16)] = ()
    """The officers whom its secret is encrypted to; empty: it is left in the home, mode 0400, to be taken and removed."""


class HomeScript(_Table, frozen=True, kw_only=True):
    """What scripts of ``init`` and of ``backup restore`` have in common.

    ``service`` and what follows are the sections of strongroom.toml of these names.
    """

    version: Literal[1]
    cluster: ScriptCluster
    members: Annotated[tuple[ScriptMember, ...], msgspec.Meta(min_length=1, max_length=MAX_MEMBERS)]
    policy: PolicyConfig = PolicyConfig()
    pins: ScriptPins = ScriptPins()
    tls: ScriptTls | None = None
    service: ServiceConfig = ServiceConfig()
    cache: CacheConfig = CacheConfig()
    deadlines: DeadlineConfig = DeadlineConfig()
    lifecycle: LifecycleConfig = LifecycleConfig()
    oidc: OidcConfig | None = None
    quotas: QuotasConfig = QuotasConfig()


class InitScript(HomeScript, frozen=True, kw_only=True):
    """The whole file of ``init``."""

    officers: Annotated[tuple[ScriptOfficer, ...], msgspec.Meta(min_length=1, max_length=100)]
    rules: Annotated[dict[_Verb, ScriptRule], msgspec.Meta(max_length=100)]
    access_keys: Annotated[tuple[ScriptAccessKey, ...], msgspec.Meta(max_length=100)] = ()


class RestoreScript(HomeScript, frozen=True, kw_only=True):
    """The whole file of ``backup restore``: officers, rules and access keys are those of the bundle."""

"""The form of a ceremony's script: who takes part, and what is done in which order, with bounds on each field.

No field has room for a PIN, a passphrase or a share, and what is unknown is refused. ``read_script`` makes it of bytes.
"""

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import msgspec

from strongroom.ceremony._parameters import Action, Parameters

MAX_PARTICIPANTS: Final = 40
MAX_STEPS: Final = 200

Id = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?\Z")]
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
OptionalWords = Annotated[str, msgspec.Meta(max_length=200)]
Text = Annotated[str, msgspec.Meta(max_length=4000)]
KeyLine = Annotated[str, msgspec.Meta(max_length=1024)]


class CeremonyType(StrEnum):
    """What a ceremony is for."""

    ROOT_KEY = "root-key"
    """Blank tokens become a cluster with a root key."""
    BACKUP = "backup"
    """A backup set is made, its shares are given out, and a first backup is made."""
    RECOVERY = "recovery"
    """Shares are brought together, and a backup is tested or restored."""
    RESHARE = "reshare"
    """A new backup set takes the place of the old one: other custodians, another m of n."""
    OFFICER_CHANGE = "officer-change"
    """An officer comes, leaves, or gets another key."""
    ROOT_CA = "root-ca"
    """The key of a certificate authority, which never leaves, and its own certificate."""
    MEMBER_JOIN = "member-join"
    """Another HSM joins the cluster."""


class CeremonyRole(StrEnum):
    """As what a person takes part."""

    ADMINISTRATOR = "ceremony-administrator"
    """Leads, reads aloud, and types."""
    SECURITY_OFFICER = "security-officer"
    CRYPTO_OFFICER = "crypto-officer"
    CUSTODIAN = "custodian"
    """Holds a share."""
    INTERNAL_WITNESS = "internal-witness"
    """Of the organisation; watches, and signs what they saw."""
    EXTERNAL_WITNESS = "external-witness"
    """Of another organisation; watches, and signs what they saw."""


WITNESS_ROLES: Final = frozenset({CeremonyRole.INTERNAL_WITNESS, CeremonyRole.EXTERNAL_WITNESS})


class Delivery(StrEnum):
    """How a custodian takes their share."""

    PAPER = "paper"
    """Words (and a QR code) that they write down or that are printed."""
    AGE = "age"
    """Encrypted to ``recipient``."""
    CARD = "card"
    """A data object on their PKCS#11 card; ``recipient`` is its RFC 7512 URI, without a PIN."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A table of the script: frozen, nothing unknown."""


class Participant(_Table, frozen=True):
    """A person who takes part."""

    id: Id
    name: Words
    role: CeremonyRole
    organisation: Words
    location: OptionalWords = ""
    """Where they keep what they hold: custodians of one place are lost together."""
    key: KeyLine = ""
    """The public key that they sign with, as in a ``.pub`` file. Witnesses need one."""
    delivery: Delivery | None = None
    """Of custodians."""
    recipient: KeyLine = ""
    """What a share is encrypted to (``age1…``, ``ssh-ed25519 …``), or the URI of the card."""

    @property
    def is_witness(self) -> bool:
        """Whether they watch and sign."""
        return self.role in WITNESS_ROLES


class ScriptStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A step as it stands in the file; ``Step`` is what becomes of it."""

    id: Id
    do: Action
    by: Id
    witness: Annotated[tuple[Id, ...], msgspec.Meta(max_length=8)] = ()
    say: Text = ""
    expect: Text = ""
    parameters: dict[str, Any] = msgspec.field(name="with", default_factory=dict)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step: who does what, what is read aloud, what is to be seen."""

    id: str
    do: Action
    by: str
    """Id of the participant who acts."""
    witness: tuple[str, ...] = ()
    """Ids of those who confirm beside ``by`` what they saw."""
    say: str = ""
    """Read aloud, word by word, before it is done."""
    expect: str = ""
    """What everybody should see."""
    parameters: Parameters
    """``with`` of the file: a Struct of the action's own type (``PARAMETERS``)."""


class ScriptFile(_Table, frozen=True):
    """The whole file, as it stands there."""

    version: Literal[1]
    id: Id
    type: CeremonyType
    title: Words
    participants: Annotated[tuple[Participant, ...], msgspec.Meta(min_length=1, max_length=MAX_PARTICIPANTS)]
    steps: Annotated[tuple[ScriptStep, ...], msgspec.Meta(min_length=1, max_length=MAX_STEPS)]


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A script that holds together."""

    id: str
    type: CeremonyType
    title: str
    participants: tuple[Participant, ...]
    steps: tuple[Step, ...]
    sha256: str
    """Of the bytes of the file, in hex, as ``sha256sum`` prints it: what people compare, and the transcript names."""

    def participant(self, identifier: str) -> Participant:
        """Return the person of that id. Raises KeyError: of a script that was read there is none that is not there."""
        for one in self.participants:
            if one.id == identifier:
                return one
        raise KeyError(identifier)

    def step(self, identifier: str) -> Step:
        """Return the step of that id. Raises KeyError."""
        for one in self.steps:
            if one.id == identifier:
                return one
        raise KeyError(identifier)

    @property
    def witnesses(self) -> tuple[Participant, ...]:
        """Those who sign the transcript."""
        return tuple(one for one in self.participants if one.is_witness)

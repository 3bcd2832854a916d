"""What a step can do, a closed set, and the parameters (``with``) of each: a Struct for each action, unknown members refused.

Paths are relative to the folder of the script, or absolute.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

Id = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?\Z")]
_Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9-]{0,30}\Z")]
_Path = Annotated[str, msgspec.Meta(pattern=r"\A[^\x00-\x1f\x7f]{1,1000}\Z")]
_FileName = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")]
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{64})?\Z")]
"""Empty: nothing is compared, what was found is read aloud and recorded."""
_SetId = Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{32})?\Z")]
_Words = Annotated[str, msgspec.Meta(pattern=r"\A[^\x00-\x1f\x7f]{1,200}\Z")]
_Maybe = Annotated[str, msgspec.Meta(pattern=r"\A[^\x00-\x1f\x7f]{0,200}\Z")]
_BagNumber = Annotated[str, msgspec.Meta(pattern=r"\A(?:[A-Za-z0-9][A-Za-z0-9 ./-]{1,38}[A-Za-z0-9])?\Z")]

ACCEPT_SOFTHSM: Final = "I accept that production roots leave the protection of an HSM"
"""The words without which production roots are not restored into SoftHSM."""


class Action(StrEnum):
    """What a step does."""

    ATTEND = "attend"
    """Everybody who is there says so and gives their initials."""
    READ_ALOUD = "read-aloud"
    CHECK_SOFTWARE = "check-software"
    CHECK_MEMBERS = "check-members"
    """Serial, firmware, FIPS mode, key ids, attributes read back, key check values of the members."""
    BAG_IN = "bag-in"
    """Something goes into tamper-evident bags."""
    BAG_OUT = "bag-out"
    """Something is taken out of tamper-evident bags."""
    INITIALISE = "initialise"
    MAKE_BACKUP_SET = "make-backup-set"
    CREATE_BACKUP = "create-backup"
    COLLECT_SHARES = "collect-shares"
    """Custodians bring enough shares. What they open is kept for the next open-backup or restore, in memory only."""
    OPEN_BACKUP = "open-backup"
    """The bundle is tested in a scratch token; nothing of production is touched."""
    RESTORE = "restore"
    RETIRE_SET = "retire-set"
    CHANGE_OFFICERS = "change-officers"
    MAKE_ROOT_CA = "make-root-ca"
    JOIN_MEMBER = "join-member"
    WITNESS_SIGNATURES = "witness-signatures"
    """The transcript is closed, and the witnesses sign it. The last step of each script."""


OWN_ACTIONS: Final = frozenset(
    {
        Action.ATTEND,
        Action.READ_ALOUD,
        Action.CHECK_SOFTWARE,
        Action.BAG_IN,
        Action.BAG_OUT,
        Action.WITNESS_SIGNATURES,
    }
)
"""What the runner does by itself; ``Effects`` is asked for all others."""


class _Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="kebab"):
    """What stands under ``with``, its names with hyphens."""


class NoParameters(_Parameters, frozen=True):
    """There is nothing to say."""


class CheckSoftware(_Parameters, frozen=True):
    """What the software should be; empty: it is read aloud and recorded."""

    version: _Maybe = ""
    sha256: _Sha256 = ""


class ExpectedMember(_Parameters, frozen=True):
    """What is known of a member before the ceremony; what is empty is recorded and not compared."""

    name: _Name
    serial: _Maybe = ""
    firmware: _Maybe = ""
    fips: bool | None = None


class CheckMembers(_Parameters, frozen=True):
    """The members that are looked at; none named: all of them."""

    members: Annotated[tuple[ExpectedMember, ...], msgspec.Meta(max_length=16)] = ()


class Bag(_Parameters, frozen=True):
    """A tamper-evident bag."""

    contents: _Words
    number: _BagNumber = ""
    """As it stands in the transcript of the ceremony before; empty: whatever is read off the bag is recorded."""


class Bags(_Parameters, frozen=True):
    """Bags that are opened or closed."""

    bags: Annotated[tuple[Bag, ...], msgspec.Meta(min_length=1, max_length=40)]


class Initialise(_Parameters, frozen=True):
    """The script of ``strongroom init`` and the genesis that the officers signed."""

    script: _Path
    genesis: _Path
    script_sha256: _Sha256 = ""
    genesis_sha256: _Sha256 = ""


class MakeBackupSet(_Parameters, frozen=True):
    """How many custodians there are, in which order they come, and how many of them open the set."""

    threshold: Annotated[int, msgspec.Meta(ge=2, le=16)]
    custodians: Annotated[tuple[Id, ...], msgspec.Meta(min_length=2, max_length=16)]
    print_command: Annotated[tuple[_Words, ...], msgspec.Meta(max_length=16)] = ()
    """A program, by its absolute path, and its arguments: it gets the sheet of each share on paper at its standard input, as PDF.
    None: custodians copy the words from the screen."""

    def __post_init__(self) -> None:
        if self.print_command and not self.print_command[0].startswith("/"):
            raise ValueError("print-command begins with the absolute path of a program")


class CreateBackup(_Parameters, frozen=True):
    """The bundle goes into the folder of the ceremony, under this name."""

    bundle: _FileName = "backup.bundle"


class CollectShares(_Parameters, frozen=True):
    """Whose shares are asked for, in this order, and which bundle they are to open.

    Of those who are named some may be absent: the outcome of ``attend`` lists them (``absent``).
    """

    custodians: Annotated[tuple[Id, ...], msgspec.Meta(min_length=2, max_length=16)]
    bundle: _Path
    """Or a name in the folder of this ceremony, where a step before made it."""


class OpenBackup(_Parameters, frozen=True):
    """The bundle that is tested."""

    bundle: _Path
    bundle_sha256: _Sha256 = ""


class Restore(_Parameters, frozen=True):
    """What is restored from, and onto which members."""

    bundle: _Path
    script: _Path
    """The script of ``strongroom init`` that describes the blank members."""
    bundle_sha256: _Sha256 = ""
    script_sha256: _Sha256 = ""
    accept_softhsm: Literal["I accept that production roots leave the protection of an HSM", ""] = ""


class RetireSet(_Parameters, frozen=True):
    """The set that is retired; empty: the one that was active before this ceremony."""

    set_id: _SetId = ""


class ChangeOfficers(_Parameters, frozen=True):
    """The request that officers have approved, and that is to come into force."""

    request: _Path
    """A file with the request, as ``strongroom approvals show`` reads it, or what the effects know of."""
    request_sha256: _Sha256 = ""


class MakeRootCa(_Parameters, frozen=True):
    """The certificate authority."""

    common_name: _Words
    organisation: _Maybe = ""
    country: Annotated[str, msgspec.Meta(pattern=r"\A(?:[A-Z]{2})?\Z")] = ""
    spec: Literal["ECC_NIST_P256", "ECC_NIST_P384", "RSA_3072", "RSA_4096"] = "ECC_NIST_P384"
    valid_years: Annotated[int, msgspec.Meta(ge=1, le=30)] = 20


class JoinMember(_Parameters, frozen=True):
    """The member that joins, as ``strongroom members add`` takes it."""

    name: _Name
    member_file: _Path
    member_file_sha256: _Sha256 = ""
    reset: _Maybe = ""
    """Serial number of a token that is erased; empty: a blank one is taken."""


class WitnessSignatures(_Parameters, frozen=True):
    """How many witnesses sign at the least."""

    at_least: Annotated[int, msgspec.Meta(ge=2, le=16)] = 2


Parameters: TypeAlias = (
    NoParameters
    | CheckSoftware
    | CheckMembers
    | Bags
    | Initialise
    | MakeBackupSet
    | CreateBackup
    | CollectShares
    | OpenBackup
    | Restore
    | RetireSet
    | ChangeOfficers
    | MakeRootCa
    | JoinMember
    | WitnessSignatures
)

PARAMETERS: Final[Mapping[Action, type[Parameters]]] = MappingProxyType(
    {
        Action.ATTEND: NoParameters,
        Action.READ_ALOUD: NoParameters,
        Action.CHECK_SOFTWARE: CheckSoftware,
        Action.CHECK_MEMBERS: CheckMembers,
        Action.BAG_IN: Bags,
        Action.BAG_OUT: Bags,
        Action.INITIALISE: Initialise,
        Action.MAKE_BACKUP_SET: MakeBackupSet,
        Action.CREATE_BACKUP: CreateBackup,
        Action.COLLECT_SHARES: CollectShares,
        Action.OPEN_BACKUP: OpenBackup,
        Action.RESTORE: Restore,
        Action.RETIRE_SET: RetireSet,
        Action.CHANGE_OFFICERS: ChangeOfficers,
        Action.MAKE_ROOT_CA: MakeRootCa,
        Action.JOIN_MEMBER: JoinMember,
        Action.WITNESS_SIGNATURES: WitnessSignatures,
    }
)
"""The type of ``with`` of each action."""

"""What else is printed: share sheets, the page for an auditor, the loss report, a backup's manifest. Frozen, plain data.

Times are UTC as texts (``2026-11-22 14:05:09``), hashes in hex. Everything may be hostile: names are what somebody typed.
"""

import msgspec

from strongroom.paper._transcript_form import Fact, PrintedHash


class _Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Frozen; nothing unknown."""


class ShareSheet(_Form, frozen=True, kw_only=True):
    """One share for one custodian. Secret: the words are shown by no ``repr``, and what is made of them is a ``Secret``."""

    organisation: str = ""
    """Whose key it is: the cluster's name, or nothing."""
    set_id: str
    """Of the backup set, 32 hex digits."""
    slip39_identifier: int
    """Stands in all shares of the set."""
    share_number: int
    """From 1."""
    count: int
    threshold: int
    custodian: str
    location: str = ""
    """Where the sheet is to be kept."""
    ceremony: str
    """Id of the ceremony; empty: it was made outside one."""
    made_at: str
    words: tuple[str, ...]
    """In their order; 20 to 59 of them, ASCII letters in lower case (SLIP-39)."""
    is_rehearsal: bool

    def __repr__(self) -> str:
        """Everything but the words."""
        return f"ShareSheet(share {self.share_number} of {self.count}, set {self.set_id}, <{len(self.words)} words>)"


class AuditedFile(_Form, frozen=True, kw_only=True):
    """A file that an auditor gets."""

    name: str
    sha256: str
    what: str
    """In a few words: ``the transcript, one JSON object on each line``."""


class AuditorPage(_Form, frozen=True, kw_only=True):
    """What an auditor gets, how they check it without the service, and what nobody can check from these files."""

    title: str
    """Of the ceremony."""
    type: str
    ceremony: str
    is_rehearsal: bool
    state: str
    ended: str
    script_hash: PrintedHash
    transcript_hash: PrintedHash
    files: tuple[AuditedFile, ...]
    commands: tuple[str, ...]
    """Whole command lines, which need no service and no network."""
    checked: tuple[str, ...]
    """What those commands prove, one sentence each."""
    unchecked: tuple[str, ...]
    """What they cannot prove, one sentence each."""


class LossCustodian(_Form, frozen=True, kw_only=True):
    """A custodian of a set, as they stand today."""

    name: str
    location: str
    share_number: int
    delivery: str
    """``paper``, ``age`` or ``card``."""
    state: str
    """``holding`` or ``left``."""
    acknowledged: str = ""
    """When they signed that they know their duty; empty: never."""
    proved: str = ""
    """When they last proved that they hold the share; empty: never."""
    is_counted: bool
    """They can be counted on: they hold their share, and proved it within the period."""


class LossLocation(_Form, frozen=True, kw_only=True):
    """A place where shares are."""

    name: str
    counted: int
    """How many custodians there can be counted on."""
    is_survivable: bool
    """Without all of them the set can still be opened."""


class LossSet(_Form, frozen=True, kw_only=True):
    """A backup set, and who can open it."""

    set_id: str
    state: str
    made_at: str
    threshold: int
    count: int
    counted: int
    """How many custodians can be counted on."""
    can_lose_people: int
    """How many more of them, whoever they are; negative: the set cannot be opened by those who can be counted on."""
    can_lose_locations: int
    """How many locations, whichever they are; negative as above."""
    custodians: tuple[LossCustodian, ...]
    locations: tuple[LossLocation, ...]
    backups: tuple[Fact, ...] = ()
    """Backups that the set opens: id, and a few words (when it was made, where it is, whether it is to be destroyed)."""


class LossReport(_Form, frozen=True, kw_only=True):
    """Who can be lost: people and places."""

    cluster: str
    at: str
    proof_period_days: int
    is_rehearsal: bool = False
    alarms: tuple[str, ...]
    """What somebody must do something about."""
    sets: tuple[LossSet, ...]
    notes: tuple[str, ...] = ()
    """Such as what old shares with an old bundle can still open."""


class BackedUpKey(_Form, frozen=True, kw_only=True):
    """A key in a backup."""

    id: str
    what: str
    """``root KEK``, or the specification of a Direct key."""
    kcv: str = ""


class BackupPage(_Form, frozen=True, kw_only=True):
    """The manifest of a backup, for a folder of paper."""

    backup_id: str
    set_id: str
    threshold: int
    count: int
    cluster: str
    """Its id; empty: it has none."""
    member: str
    """Under whose backup transport keys it was wrapped."""
    mechanism: str
    """By which: ``CKM 0x210B``."""
    made_at: str
    origin: str
    """``hsm`` or ``softhsm``."""
    is_rehearsal: bool = False
    bundle_name: str
    bundle_size: int
    bundle_hash: PrintedHash
    signing_key: PrintedHash
    """SHA-256 of the public key (SubjectPublicKeyInfo, DER) that signed the manifest."""
    software: tuple[Fact, ...] = ()
    snapshot: tuple[Fact, ...]
    """Of the database: size, hash, revision, number of keys."""
    keys: tuple[BackedUpKey, ...]
    left_out: tuple[BackedUpKey, ...] = ()
    """Keys that are not in it; ``what`` says why."""
    members: tuple[tuple[str, str], ...] = ()
    """Of the cluster at the time: name, and a few words (profile, serial, label)."""
    custodians: tuple[tuple[str, str], ...] = ()
    """Name and location, in the order of their shares. Never a share."""
    facts: tuple[Fact, ...] = ()
    """What else the manifest says."""

"""The entries of a transcript: one canonical JSON object (RFC 8785) on each line, each naming the hash of the line before.

``seq`` counts from 0; ``at`` is in seconds since the Unix epoch, by the clock of the machine; ``previous`` is the SHA-256 of
the line before without its line feed, in hex, and 64 zeros in the header. Nothing may be left out; nothing unknown stands there.
"""

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from strongroom.ceremony._form import CeremonyType, Participant, Text, Words
from strongroom.ceremony._form import Id as StepId

Sha256 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
Number = Annotated[int, msgspec.Meta(ge=0, le=2**31)]
Initials = Annotated[str, msgspec.Meta(pattern=r"\A[^\W\d_]{2,5}\Z")]
FileName = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,99}){0,3}\Z")]  # fmt: skip

NO_HASH: Final = "0" * 64


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Frozen; nothing unknown."""


class Software(_Part, frozen=True):
    """The software that ran: its version, and a hash of the files of the installed package."""

    version: Words
    sha256: Sha256
    """Of the lines that ``sha256sum`` prints of the package's files, sorted by name."""
    files: Number
    python: Words


class ArtefactEntry(_Part, frozen=True):
    """A file and its hash."""

    name: FileName
    sha256: Sha256
    elsewhere: Annotated[str, msgspec.Meta(max_length=200)]


class Confirmation(_Part, frozen=True):
    """Somebody's initials, and when they were given."""

    who: StepId
    initials: Initials
    at: Seconds


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """What each entry has."""

    seq: Number
    at: Seconds
    previous: Sha256


class Header(_Entry, frozen=True, tag="header"):
    """The beginning: what is run, by which software, by whom."""

    type: Literal["strongroom-transcript-v1"]
    ceremony: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
    """Random: the name of this ceremony."""
    script: StepId
    """Id of the script."""
    script_sha256: Sha256
    ceremony_type: CeremonyType
    title: Words
    is_rehearsal: bool
    previous_transcript: Sha256
    """SHA-256 of the transcript of the ceremony before; 64 zeros: there was none, or it is not known."""
    software: Software
    participants: Annotated[tuple[Participant, ...], msgspec.Meta(min_length=1, max_length=40)]


class Begun(_Entry, frozen=True, tag="begun"):
    """A step is begun: from here on it may have done something."""

    step: StepId
    action: Words
    by: StepId
    is_again: bool
    """It was begun before, and did nothing that stayed, or what it found was lost with its process."""


class Done(_Entry, frozen=True, tag="done"):
    """What a step did."""

    step: StepId
    facts: dict[str, Any]
    artefacts: Annotated[tuple[ArtefactEntry, ...], msgspec.Meta(max_length=100)]
    deviations: Annotated[tuple[Text, ...], msgspec.Meta(max_length=100)]
    is_found: bool
    """It had been done by a process that ended before it could say so."""


class Confirmed(_Entry, frozen=True, tag="confirmed"):
    """Whoever acted, and the witnesses of the step, confirm it. The step is over."""

    step: StepId
    confirmations: Annotated[tuple[Confirmation, ...], msgspec.Meta(min_length=1, max_length=50)]


class Noted(_Entry, frozen=True, tag="noted"):
    """Part of a step that takes long."""

    step: StepId
    who: Annotated[str, msgspec.Meta(max_length=63)]
    text: Text
    facts: dict[str, Any]


class Deviation(_Entry, frozen=True, tag="deviation"):
    """Something was done otherwise than the script says, in the words of those who did it."""

    step: Annotated[str, msgspec.Meta(max_length=63)]
    who: StepId
    text: Text


class Interrupted(_Entry, frozen=True, tag="interrupted"):
    """The ceremony stopped here, by a pause or a failure."""

    step: Annotated[str, msgspec.Meta(max_length=63)]
    reason: Text


class Resumed(_Entry, frozen=True, tag="resumed"):
    """It went on in another process."""

    software: Software
    lost_bytes: Number
    """Of an entry that was not wholly on disk when the process before ended."""


class Ended(_Entry, frozen=True, tag="ended"):
    """The end: no entry follows, and the witnesses sign what stands before and this."""

    state: Literal["complete", "abandoned"]
    reason: Text
    audit_checkpoint: dict[str, Any]
    witnesses_needed: Number


Entry: TypeAlias = Header | Begun | Done | Confirmed | Noted | Deviation | Interrupted | Resumed | Ended

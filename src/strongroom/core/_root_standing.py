"""``RootStanding``: which roots there are, and how far the newest rotation is, as the command line and the admin API tell it."""

from msgspec import Struct


class RootShown(Struct, frozen=True, rename="camel"):
    """A root KEK, of now or before."""

    root_id: str
    state: str
    """``pending``, ``current``, ``old`` or ``destroyed``."""
    created_at: float
    """In seconds since the Unix epoch, as all times here."""
    destroyed_at: float | None
    domains: int
    """How many domain KEKs hang under it."""
    check_kind: str
    check_value: str


class RotationShown(Struct, frozen=True, rename="camel"):
    """A rotation of the root."""

    rotation_id: str
    state: str
    """``making``, ``rewrapping``, ``finished`` or ``failed``."""
    asked_by: str
    root_id: str
    """The new root; empty until it is published."""
    domains: int
    """Domain KEKs that there are."""
    rewrapped: int
    """Those that hang under the current root, with those that were made under it."""
    left: int
    started_at: float
    published_at: float | None
    finished_at: float | None
    last_at: float | None
    """When domain KEKs were last rewrapped."""
    domains_per_s: float
    """The most that are rewrapped in a second."""
    measured_per_s: float | None
    """How many were so far, in a second; null before that can be told."""
    ends_at: float | None
    """About when nothing is left, at that speed; null when it is over, or cannot be told."""
    trouble: str
    """What went wrong last; empty: nothing."""


class RootStanding(Struct, frozen=True, rename="camel"):
    """The roots, those that were destroyed included, oldest first, and the newest rotation."""

    roots: list[RootShown]
    rotation: RotationShown | None

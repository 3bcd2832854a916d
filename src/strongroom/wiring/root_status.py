"""How far a rotation of the root is, from the database alone: it is told though no service runs."""

from typing import Final

from strongroom.config import Home
from strongroom.core import Clock, RootShown, RootStanding, RotationShown
from strongroom.storage import Reader, ReadOnlyStore, RootRotationRecord, RootState, RotationState

_SHORTEST_S: Final = 2.0
"""A speed that was measured for less says nothing."""


def retirable(standing: RootStanding) -> list[RootShown]:
    """Return the old roots under which nothing hangs any more."""
    return [root for root in standing.roots if root.state == RootState.OLD and not root.domains]


def read_root_status(home: Home, clock: Clock) -> RootStanding:
    """Read how things stand. Raises StorageError."""
    with ReadOnlyStore.open(home.database) as store:
        return root_status_of(store, clock)


def root_status_of(store: Reader, clock: Clock) -> RootStanding:
    """Read how things stand from a database that is open. Raises StorageError."""
    counts = store.count_domains_by_root()
    roots = [
        RootShown(
            root.root_id.hex(),
            root.state,
            root.created_at,
            root.destroyed_at,
            counts.get(root.root_id, 0),
            root.check_kind,
            root.check_value,
        )
        for root in store.list_all_roots()
    ]
    last = store.get_last_root_rotation()
    return RootStanding(roots, None if last is None else _shown(last, roots, clock.now()))


def _shown(rotation: RootRotationRecord, roots: list[RootShown], now: float) -> RotationShown:
    total = sum(root.domains for root in roots)
    done = sum(root.domains for root in roots if root.state == RootState.CURRENT)
    if rotation.state is RotationState.MAKING:
        done = 0
    left = total - done
    speed = _speed(rotation)
    return RotationShown(
        rotation_id=rotation.rotation_id,
        state=rotation.state,
        asked_by=rotation.asked_by,
        root_id="" if rotation.root_id is None else rotation.root_id.hex(),
        domains=total,
        rewrapped=done,
        left=left,
        started_at=rotation.started_at,
        published_at=rotation.published_at,
        finished_at=rotation.finished_at,
        last_at=rotation.last_at,
        domains_per_s=rotation.domains_per_s,
        measured_per_s=speed,
        ends_at=now + left / speed if rotation.state is RotationState.REWRAPPING and speed else None,
        trouble=rotation.trouble,
    )


def _speed(rotation: RootRotationRecord) -> float | None:
    if rotation.published_at is None or rotation.last_at is None:
        return None
    took_s = rotation.last_at - rotation.published_at
    return rotation.n_rewrapped / took_s if took_s >= _SHORTEST_S else None

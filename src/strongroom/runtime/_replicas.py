"""Connections of main to the workers of members, by which keys are looked at and changed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from strongroom.hsm.cluster import BeforeCall, RemoteKeys, RemoteMember, Replica, WorkerEntry
from strongroom.wiring.workers import admin_path_beside


class Connected:
    """The two connections to one worker, and the replica that they make."""

    def __init__(self, entry: WorkerEntry, refused: Callable[[str], None], before: BeforeCall | None) -> None:
        self.use = RemoteMember(entry.member, entry.use_path, entry.pid)
        admin_path = admin_path_beside(entry.use_path)
        self.keys = RemoteKeys(entry.member, admin_path, entry.pid, refused=refused, before=before)

    def replica(self, *, takes_creations: bool) -> Replica:
        return Replica(self.use.name, self.keys, self.use, takes_creations)

    def close(self) -> None:
        self.use.close()
        self.keys.close()


@contextmanager
def replica_of(member: RemoteMember, before: BeforeCall | None) -> Iterator[Replica]:
    """The replica of a worker that is not published yet."""
    keys = RemoteKeys(member.name, admin_path_beside(member.use_path), member.pid, before=before)
    try:
        yield Replica(member.name, keys, member)
    finally:
        keys.close()

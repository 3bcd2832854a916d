"""What the service promises about rotation; a part of ``KeyService``."""

from typing import Protocol

from strongroom.keyring import KeyInfo, RotationStatus, VersionPage
from strongroom.service._caller import Caller


class RotationService(Protocol):
    """The verbs that rotate symmetric keys. Those that change a key raise KeyStateError unless it is active.

    All raise RotationUnsupportedError for a key of another kind.
    """

    async def enable_key_rotation(self, caller: Caller, key_id: str, *, days: int) -> None:
        """Rotate a key every ``days``, 90 to 2,560; no effect where it is rotated in this rhythm already."""
        ...

    async def disable_key_rotation(self, caller: Caller, key_id: str) -> None:
        """Rotate a key no longer by itself; no effect on one that is not."""
        ...

    async def mark_key_compromised(self, caller: Caller, key_id: str) -> KeyInfo:
        """Say that others may know the material of a key, in whatever state it is; there is no way back."""
        ...

    async def get_key_rotation_status(self, caller: Caller, key_id: str) -> RotationStatus:
        """Tell how a key is rotated, which may be suspended."""
        ...

    async def rotate_key_on_demand(self, caller: Caller, key_id: str) -> KeyInfo:
        """Make a new version of a key now. Raises RotationLimitError."""
        ...

    async def list_key_rotations(
        self, caller: Caller, key_id: str, *, limit: int, after: int | None, with_first: bool
    ) -> VersionPage:
        """List the versions of a key in any state, oldest first, ``limit`` 1 to 1,000."""
        ...

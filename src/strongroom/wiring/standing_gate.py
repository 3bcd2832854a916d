"""What a member that serves lets main do to its keys without anybody's approval."""

from collections.abc import Mapping
from typing import Final

from strongroom.core import ApprovalRequiredError

_STANDING: Final = frozenset({"GenerateDirect", "DestroyDirect", "WrapOut", "TakeInRoot", "TakeInKey"})
"""Making and destroying Direct keys, and copying keys to where they belong under transport keys. None of them shows
a key to anybody, nor lets one leave the cluster."""


class StandingGate:
    """Lets main keep the keys of the cluster: nothing that needs the security officer, no root, no import pair.

    A worker hears admin verbs from main alone (``MemberWorker.admin_pid``), so what stands here is what a
    broken-into main could do, which has the PIN anyway; a broken-into API process can do none of it.
    """

    def check(self, verb: str, parameters: Mapping[str, object]) -> None:  # noqa: ARG002  # the Protocol's shape
        """Return if the verb is one of those. Raises ApprovalRequiredError."""
        if verb not in _STANDING:
            raise ApprovalRequiredError(
                f"{verb} changes keys inside the HSM and no approval covers it",
                next_step="such verbs run during strongroom init; quorum approvals are not built yet",
            )

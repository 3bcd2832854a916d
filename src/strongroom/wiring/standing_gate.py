"""What a member that serves lets main do to its keys without anybody's approval, in a home without officers.

Where there are officers, ``custody.ActGate`` is in its place (``wiring.custody_gate``).

Rotating the root is among it. Making a new root shows nothing to anybody and takes nothing away; destroying an old one
takes away for good what still hangs under it. Main does both only at the request of the home's owner (a process of its
own user at the control socket, which is none of the API processes that it started), and destroys a root only after it
has seen for itself that nothing is left under it (``runtime._root_retiring``). But that is main's word: what the gate
knows is the verb and the root's id. So without officers a broken-into main can destroy a root, as it can destroy every
Direct key.
"""

from collections.abc import Mapping
from typing import Final

from strongroom.core import ApprovalRequiredError

_STANDING: Final = frozenset({"GenerateDirect", "DestroyDirect", "WrapOut", "TakeInRoot", "TakeInKey"})
"""Making and destroying Direct keys, and copying keys to where they belong under transport keys. None of them shows
a key to anybody, nor lets one leave the cluster."""


_OF_ROTATIONS: Final = frozenset({"GenerateRoot", "DestroyRoot"})
"""What a rotation of the root needs."""


class StandingGate:
    """Lets main keep the keys of the cluster: nothing that needs the security officer, no import pair.

    A worker hears admin verbs from main alone (``MemberWorker.admin_pid``), so what stands here is what a
    broken-into main could do, which has the PIN anyway; a broken-into API process can do none of it.
    """

    def check(self, verb: str, parameters: Mapping[str, object]) -> None:  # noqa: ARG002  # the Protocol's shape
        """Return if the verb is one of those. Raises ApprovalRequiredError."""
        if verb not in _STANDING | _OF_ROTATIONS:
            raise ApprovalRequiredError(
                f"{verb} changes keys inside the HSM and no approval covers it",
                next_step="such verbs run during strongroom init and strongroom members add",
            )

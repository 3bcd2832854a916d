"""Taking away what an interrupted ``strongroom init`` left in the tokens that it had initialised itself.

No key of it was ever in use: the root is in the journal only once every member proved its copy, and until then it is made
anew. Told by their labels; what bears none of ours stays.
"""

from typing import Final

from strongroom.core import Clock, Deadline, RootId
from strongroom.hsm.cluster import destroy_unknown_transport_keys
from strongroom.wiring.cluster_setup import ROOT_LABEL, Doors, Progress

_LIMIT_S: Final = 60.0
_PAIR_PREFIX: Final = "import-"
_TRUSTED_PREFIX: Final = "trusted-"


async def clear_tokens(doors: Doors, *, clock: Clock, progress: Progress) -> None:
    """Destroy transport keys, roots and import keys of an earlier run. Raises HsmError."""
    removed = await destroy_unknown_transport_keys(doors.users, ())
    for user, officer, replica in zip(doors.users, doors.officers, doors.replicas, strict=True):
        found = [entry for entry in await user.list_objects() if not entry.is_ghost]
        roots = {entry.cka_id for entry in found if entry.label == ROOT_LABEL}
        for root_id in roots:
            deadline = Deadline.after(clock, _LIMIT_S)
            await replica.keys.destroy_root(RootId(root_id), deadline=deadline)
        pairs = {entry.cka_id for entry in found if entry.label.startswith(_PAIR_PREFIX)}
        for pair in pairs:
            await user.destroy_import_pair(pair)
        trusted = {entry.cka_id for entry in found if entry.label.startswith(_TRUSTED_PREFIX)}
        for key in trusted:
            await officer.destroy_trusted_public(key)
        removed += len(roots) + len(pairs) + len(trusted)
    if removed:
        progress(f"destroyed {removed} keys that an interrupted init left; none was ever in use")

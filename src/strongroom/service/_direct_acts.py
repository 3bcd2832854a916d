"""Acts about keys inside HSMs as officers approve them: their verbs and parameters, which the member workers compare."""

from collections.abc import Sequence
from typing import Final

from strongroom.core import KeyUsage, ManagedKeySpec
from strongroom.custody import Json

CREATE_HSM_KEY: Final = "CreateHsmKey"
DESTROY_HSM_KEY: Final = "DestroyHsmKey"


def creation_parameters(spec: ManagedKeySpec, usage: KeyUsage) -> dict[str, Json]:
    """Return the parameters of making a Direct key: its kind, whatever it will be called. It can be copied to other members."""
    name = spec.value if spec.direct is None else spec.direct.value
    return {"spec": name, "usage": usage.value, "may_leave": True}


def destruction_parameters(key_id: str, hsm_keys: Sequence[str]) -> dict[str, Json]:
    """Return the parameters of destroying Direct keys of a key of the service; ``hsm_keys``: their ids in hex."""
    return {"key_id": key_id, "hsm_keys": sorted(hsm_keys)}

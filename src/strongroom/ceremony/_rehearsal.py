"""Who takes part in a rehearsal: people with made-up names, and keys that everybody can make.

Their keys are derived from the name of the ceremony, so that a rehearsal goes on after an interruption without a secret on
disk. Anybody can sign as they: a rehearsal proves nothing, and its transcript says that it is one.
"""

import hashlib
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.ceremony._form import Delivery, Participant, Script
from strongroom.custody import OfficerPrivateKey

_NAMES: Final = (
    "Ash", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Gorse", "Hazel", "Ivy", "Juniper", "Kapok", "Larch", "Maple",
    "Nutmeg", "Oak", "Pine", "Quince", "Rowan", "Spruce", "Teak", "Ulmo", "Viburnum", "Willow", "Yew", "Zelkova",
)  # fmt: skip


def rehearsal_script(script: Script, ceremony: str) -> Script:
    """Return the script with made-up people in place of its own; ids, roles, steps and hash stay."""
    people = tuple(_made_up(one, number, ceremony) for number, one in enumerate(script.participants))
    return msgspec.structs.replace(script, participants=people)


def rehearsal_key(ceremony: str, participant: str, purpose: str = "signs") -> OfficerPrivateKey:
    """Return the key of somebody who is made up; ``opens`` is that of their recipient."""
    seed = hashlib.sha256(f"strongroom rehearsal/{ceremony}/{participant}/{purpose}".encode()).digest()
    return OfficerPrivateKey(Ed25519PrivateKey.from_private_bytes(seed))


def _made_up(one: Participant, number: int, ceremony: str) -> Participant:
    tree, again = _NAMES[number % len(_NAMES)], number // len(_NAMES)
    return msgspec.structs.replace(
        one,
        name=f"{'Rehearsal' if not again else 'Rehearsal Again'} {tree}",
        organisation="Made-up Auditors" if "external" in one.role else "Made-up Ltd",
        key=rehearsal_key(ceremony, one.id).public.line,
        recipient=rehearsal_key(ceremony, one.id, "opens").public.line
        if one.delivery == Delivery.AGE
        else "",
    )

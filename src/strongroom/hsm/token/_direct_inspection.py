"""Whether a Direct key is still what it was made as: its attributes against the plan of such a key."""

from typing import Final

from strongroom.core import HsmKey
from strongroom.hsm.cryptoki import Attribute, Module
from strongroom.hsm.token._direct_templates import secret_half
from strongroom.hsm.token._profile import Profile

_HISTORY: Final = frozenset({Attribute.LOCAL, Attribute.ALWAYS_SENSITIVE, Attribute.NEVER_EXTRACTABLE})
"""What a token keeps by itself and nobody can set (PKCS#11 2.40, sections 4.7 to 4.9)."""


def changed_attributes(
    module: Module, session: int, handle: int, key: HsmKey, *, may_leave: bool, profile: Profile
) -> list[str]:
    """Name the attributes of a secret half, ``CKA_…``, that differ from those of a key that was made so.

    One that may not leave was made on this token: it is CKA_LOCAL, and never was extractable or in clear outside.
    One that may leave was made here, which says so too, or came as a copy, which cannot. Where the vendor copies
    keys by itself, a copy of his may have no history. The label is not compared.
    """
    local = module.get_attributes(session, handle, (Attribute.LOCAL,)).get(Attribute.LOCAL)
    is_copy = local is False and (may_leave or profile.replication == "vendor")
    plan = secret_half(key, "", may_leave=may_leave, made_inside=not is_copy).without(profile.left_out)
    wanted = {name: value for name, value in plan.expected.items() if name is not Attribute.LABEL}
    if is_copy and profile.replication == "vendor":
        wanted = {name: value for name, value in wanted.items() if name not in _HISTORY}
    found = module.get_attributes(session, handle, tuple(wanted))
    return sorted(f"CKA_{name.name}" for name, value in wanted.items() if found.get(name) != value)

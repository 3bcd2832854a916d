"""What a token says of an object's attributes at this moment: for people who want to see that a key is as it should be."""

from typing import Final

from strongroom.hsm.cryptoki import Attribute, Module, ObjectClass
from strongroom.hsm.token._objects import ObjectFinder

_READ: Final = (
    Attribute.PRIVATE, Attribute.SENSITIVE, Attribute.ALWAYS_SENSITIVE, Attribute.EXTRACTABLE, Attribute.NEVER_EXTRACTABLE,
    Attribute.LOCAL, Attribute.MODIFIABLE, Attribute.COPYABLE, Attribute.TRUSTED, Attribute.WRAP_WITH_TRUSTED,
    Attribute.ENCRYPT, Attribute.DECRYPT, Attribute.WRAP, Attribute.UNWRAP, Attribute.SIGN, Attribute.VERIFY, Attribute.DERIVE,
)  # fmt: skip


def read_back(
    module: Module, finder: ObjectFinder, session: int, cka_id: bytes
) -> list[tuple[str, dict[str, bool]]]:
    """Return class and truths among the attributes of each object of this CKA_ID; what the token does not tell is left out."""
    found = []
    for handle in finder.matching(session, {Attribute.TOKEN: True, Attribute.ID: cka_id}, limit=8):
        values = module.get_attributes(session, handle, (Attribute.CLASS, *_READ))
        kind = values.get(Attribute.CLASS)
        name = "-"
        if isinstance(kind, int) and kind in set(ObjectClass):
            name = ObjectClass(kind).name.lower()
        truths = {f"CKA_{one.name}": value for one in _READ if isinstance(value := values.get(one), bool)}
        found.append((name, truths))
    return found

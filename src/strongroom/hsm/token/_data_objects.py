"""Small values that a token keeps for us: private data objects (CKO_DATA, PKCS#11 3.2 section 4.5), found by application and label.

Such an object holds no key. It is private, so who has no login of the token's user neither reads nor replaces it. It has no
CKA_ID: application and label are its name, and several may have one name while a value is replaced.
"""

from functools import partial
from typing import Final

from strongroom.core import HsmError, HsmRequestError
from strongroom.hsm.cryptoki import (
    Attribute,
    AttributeValueInvalidError,
    Module,
    ObjectClass,
    ObjectHandleInvalidError,
    PlainValue,
    Template,
)
from strongroom.hsm.token._making import ObjectMaking
from strongroom.hsm.token._objects import ObjectFinder
from strongroom.hsm.token._profile import Profile
from strongroom.hsm.token._templates import ObjectPlan
from strongroom.hsm.token._values import Role
from strongroom.hsm.token._work import NotDoneError, Workshop

MAX_DATA_BYTES: Final = 1024
_MOST_OF_ONE_NAME: Final = 64


def kept_values(
    module: Module, finder: ObjectFinder, session: int, application: str, label: str
) -> list[bytes]:
    """Return the values of this name as a session of the token's user sees them (``DataVerbs.values``). Raises HsmError."""
    found = (_value(module, session, handle) for handle in _found(finder, session, application, label))
    return [value for value in found if value is not None]


class DataVerbs:
    """Values that the token keeps. Safe to use from any thread."""

    def __init__(
        self, module: Module, finder: ObjectFinder, workshop: Workshop, *, profile: Profile, role: Role
    ) -> None:
        self._module = module
        self._finder = finder
        self._workshop = workshop
        self._left_out = profile.left_out
        self._role = role
        self._making = ObjectMaking(module, finder)

    def values(self, application: str, label: str) -> list[bytes]:
        """Return the values of this name, in no order; none if there is no such object.

        What a power cut left half-written has an empty value, or is not found. Raises HsmRequestError for the security
        officer, who sees no private objects, and HsmError.
        """
        self._require_user()

        def read(session: int) -> list[bytes]:
            return kept_values(self._module, self._finder, session, application, label)

        return self._workshop.use("reading data objects", read)

    def put(self, application: str, label: str, value: bytes) -> None:
        """Keep a value in the place of all others of this name: the new one is there before any old one is destroyed.

        Raises HsmRequestError for a value of none or more than ``MAX_DATA_BYTES``, MemberReadOnlyError and HsmError.
        """
        self._require_user()
        if not 1 <= len(value) <= MAX_DATA_BYTES:
            raise HsmRequestError(f"a data object has 1 to {MAX_DATA_BYTES} bytes, not {len(value)}")
        plan = _plan(application, label, value).without(self._left_out)

        holds = partial(self._holds, application, label, value)

        def create(session: int) -> None:
            if not holds(session):
                made = self._module.create_object(session, plan.template)
                with self._making.destroyed_on_failure(session, made):
                    self._making.read_back(session, made, plan)

        def is_there(session: int) -> None:
            if not holds(session):
                raise NotDoneError

        def destroy_others(session: int) -> None:
            for handle in _found(self._finder, session, application, label):
                if _value(self._module, session, handle) != value:
                    self._module.destroy_object(session, handle)

        self._workshop.change("keeping a data object", create, outcome=is_there)
        # Some tokens show an object to the session that made it and lose it then, so the question is asked in a new one.
        if not self._workshop.use("looking whether a data object is there", holds, new_session=True):
            raise HsmError("the token says that it keeps a data object, and does not show it")
        self._workshop.change("destroying the data objects before it", destroy_others, outcome=is_there)

    def _holds(self, application: str, label: str, value: bytes, session: int) -> bool:
        found = _found(self._finder, session, application, label)
        return any(_value(self._module, session, handle) == value for handle in found)

    def _require_user(self) -> None:
        if self._role is not Role.USER:
            raise HsmRequestError("only the token's user sees its private data objects")


def _found(finder: ObjectFinder, session: int, application: str, label: str) -> list[int]:
    template: Template = {
        Attribute.CLASS: ObjectClass.DATA,
        Attribute.TOKEN: True,
        Attribute.APPLICATION: application,
        Attribute.LABEL: label,
    }
    return finder.matching(session, template, limit=_MOST_OF_ONE_NAME)


def _value(module: Module, session: int, handle: int) -> bytes | None:
    """Return the value of an object; None if it is gone by now, and no bytes if it cannot be read."""
    try:
        value = module.get_attributes(session, handle, (Attribute.VALUE,)).get(Attribute.VALUE)
    except ObjectHandleInvalidError:
        return None
    except AttributeValueInvalidError:
        return b""
    return value if isinstance(value, bytes) else b""


def _plan(application: str, label: str, value: bytes) -> ObjectPlan:
    template: dict[Attribute, PlainValue] = {
        Attribute.CLASS: ObjectClass.DATA,
        Attribute.TOKEN: True,
        Attribute.PRIVATE: True,
        Attribute.APPLICATION: application,
        Attribute.LABEL: label,
        Attribute.VALUE: value,
        Attribute.COPYABLE: False,
        Attribute.DESTROYABLE: True,
        Attribute.MODIFIABLE: False,
    }
    return ObjectPlan(template, template)

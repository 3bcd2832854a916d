"""Finding objects by name (CKA_ID and class), with a cache of handles that any loss of a session empties."""

import threading

from strongroom.core import HsmKeyNotFoundError, MemberFailedError
from strongroom.hsm.cryptoki import (
    Attribute,
    AttributeValue,
    AttributeValueInvalidError,
    MechanismInvalidError,
    Module,
    ObjectClass,
    ObjectHandleInvalidError,
    SessionState,
    Template,
    UserNotLoggedInError,
)
from strongroom.hsm.token._values import ObjectSummary

LOGGED_IN_STATES = frozenset(
    {SessionState.RO_USER_FUNCTIONS, SessionState.RW_USER_FUNCTIONS, SessionState.RW_SO_FUNCTIONS}
)
_MAX_CACHED = 4096
_LIST_LIMIT = 100_000


class ObjectFinder:
    """Finds the handles of token objects. Handles are numbers of this process only and are never stored.

    Safe to use from any thread.
    """

    def __init__(self, module: Module) -> None:
        self._module = module
        self._lock = threading.Lock()  # for writing to the two below
        self._generation = 0
        self._handles: dict[tuple[bytes, ObjectClass], int] = {}

    def find(self, session: int, name: tuple[bytes, ObjectClass]) -> int:
        """Return the handle of the one token object of this name.

        Raises HsmKeyNotFoundError when there is none and MemberFailedError when there are several: CKA_ID is not
        unique on a token, and taking either would be a guess. Another member may hold one of each.
        """
        handle = self._handles.get(name)
        if handle is not None:
            return handle
        generation = self._generation
        handle = self.find_uncached(session, *name)
        with self._lock:
            # A session lost meanwhile made this handle as stale as those that were forgotten.
            if generation == self._generation and len(self._handles) < _MAX_CACHED:
                self._handles[name] = handle
        return handle

    def forget_all(self) -> None:
        """Start a new generation: every handle is found again before its next use."""
        with self._lock:
            self._generation += 1
            self._handles.clear()

    def exists(self, session: int, cka_id: bytes) -> bool:
        """Ask the token, not the cache, whether any token object has this CKA_ID."""
        template: Template = {Attribute.TOKEN: True, Attribute.ID: cka_id}
        return bool(self.matching(session, template, limit=1))

    def summaries(self, session: int) -> list[ObjectSummary]:
        """List every token object that this role may see."""
        handles = self._module.find_objects(session, {Attribute.TOKEN: True}, limit=_LIST_LIMIT)
        self._require_login(session)  # else it is a list of the public ones
        summaries = (self._summary(session, handle) for handle in handles)
        return [summary for summary in summaries if summary is not None]

    def find_uncached(self, session: int, cka_id: bytes, object_class: ObjectClass) -> int:
        """Do what ``find`` does, but ask the token."""
        template: Template = {Attribute.CLASS: object_class, Attribute.TOKEN: True, Attribute.ID: cka_id}
        handles = self.matching(session, template, limit=2)
        name = f"{object_class.name.lower()} with CKA_ID {cka_id.hex()}"
        if not handles:
            raise HsmKeyNotFoundError(f"the token holds no {name}")
        if len(handles) > 1:
            raise MemberFailedError(
                f"the token holds more than one {name}",
                next_step="find out which is the right one and destroy the other",
            )
        return handles[0]

    def matching(self, session: int, template: Template, *, limit: int = 1024) -> list[int]:
        """Ask the token for every object with these attributes; an empty list means that there is none."""
        handles = self._module.find_objects(session, template, limit=limit)
        if not handles:
            self._require_login(session)
            # Another thread may have restored the login since the search.
            handles = self._module.find_objects(session, template, limit=limit)
            if not handles:
                self._require_login(session)
        return handles

    def _require_login(self, session: int) -> None:
        """To a session whose login is gone, private objects do not exist. Raises UserNotLoggedInError."""
        if self._module.session_info(session).state not in LOGGED_IN_STATES:
            raise UserNotLoggedInError(function="C_FindObjects")

    def _summary(self, session: int, handle: int) -> ObjectSummary | None:
        wanted = (Attribute.CLASS, Attribute.ID, Attribute.LABEL)
        try:
            found = self._module.get_attributes(session, handle, wanted)
        except (AttributeValueInvalidError, MechanismInvalidError):
            return ObjectSummary("-", b"", "", is_ghost=True)
        except ObjectHandleInvalidError:
            return None  # destroyed by somebody else since the list was made
        cka_id, label = found.get(Attribute.ID, b""), found.get(Attribute.LABEL, "")
        return ObjectSummary(
            _class_name(found.get(Attribute.CLASS)),
            cka_id if isinstance(cka_id, bytes) else b"",
            label if isinstance(label, str) else "",
            is_ghost=Attribute.CLASS not in found,
        )


def _class_name(value: AttributeValue | None) -> str:
    if not isinstance(value, int):
        return "-"
    return ObjectClass(value).name.lower() if value in set(ObjectClass) else f"0x{value:x}"

"""What every verb that makes an object does: refuse a name that is taken, read back, destroy what came out otherwise."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Never

from strongroom.core import HsmError, HsmRequestError
from strongroom.hsm.cryptoki import Attribute, Module
from strongroom.hsm.token._objects import ObjectFinder
from strongroom.hsm.token._templates import ObjectPlan
from strongroom.hsm.token._work import NotDoneError

_MAX_LABEL_BYTES = 128


class ObjectMaking:
    """The steps around C_Generate…, C_CreateObject and C_UnwrapKey. Safe to use from any thread."""

    def __init__(self, module: Module, finder: ObjectFinder) -> None:
        self._module = module
        self._finder = finder

    def refuse_existing(self, session: int, cka_id: bytes) -> None:
        """Raise HsmRequestError when any object has this CKA_ID."""
        if self._finder.exists(session, cka_id):
            raise HsmRequestError(
                f"the token already holds an object with CKA_ID {cka_id.hex()}",
                next_step="take another id, or destroy the object that is there",
            )

    def read_back(self, session: int, handle: int, plan: ObjectPlan) -> None:
        """Compare what the token says of a new object with the plan. Raises HsmError naming what differs."""
        found = self._module.get_attributes(session, handle, tuple(plan.expected))
        differing = [f"CKA_{name.name}" for name, value in plan.expected.items() if found.get(name) != value]
        if differing:
            raise HsmError(
                f"the token made an object with other attributes than it was told: {', '.join(differing)}",
                next_step="this token needs another profile; the object was destroyed, list_objects shows the rest",
            )

    def undoing(self, *cka_ids: bytes) -> Callable[[int], Never]:
        """Make the look-up of an outcome (``Workshop.change``) that destroys what a creation left behind.

        Whatever has one of these names was made by it, since it refused to begin while there was any.
        """

        def undo(session: int) -> Never:
            for cka_id in cka_ids:
                for handle in self._finder.matching(session, {Attribute.TOKEN: True, Attribute.ID: cka_id}):
                    self._module.destroy_object(session, handle)
            raise NotDoneError

        return undo

    @contextmanager
    def destroyed_on_failure(self, session: int, *handles: int) -> Iterator[None]:
        """Destroy the objects when the block fails; what cannot be destroyed stays, and a list shows it."""
        try:
            yield
        except BaseException:
            for handle in handles:
                with suppress(HsmError):
                    self._module.destroy_object(session, handle)
            raise


def check_label(label: str) -> None:
    """Raise HsmRequestError unless this can be a label."""
    if not label.isprintable() or not 1 <= len(label.encode()) <= _MAX_LABEL_BYTES:
        raise HsmRequestError(f"a label is 1 to {_MAX_LABEL_BYTES} bytes of printable text")

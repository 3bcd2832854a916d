"""The admin verbs that destroy roots, and what roots travel by. Each destroys what is of its own kind, and nothing else."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from strongroom.core import (
    HsmError,
    HsmKeyNotFoundError,
    HsmRequestError,
    RootId,
    WrapAlgorithm,
    root_object_ids,
)
from strongroom.hsm.cryptoki import Attribute, KeyType, Module, ObjectClass, PlainValue
from strongroom.hsm.token._direct_admin import LABEL_PREFIX
from strongroom.hsm.token._objects import ObjectFinder
from strongroom.hsm.token._values import Role
from strongroom.hsm.token._work import NotDoneError, Workshop
from strongroom.hsm.token._wrapping import check_root_id

_Kind = Mapping[Attribute, PlainValue]

_IMPORT_PRIVATE: Final[_Kind] = {
    Attribute.CLASS: ObjectClass.PRIVATE_KEY,
    Attribute.KEY_TYPE: KeyType.RSA,
    Attribute.TOKEN: True,
    Attribute.UNWRAP: True,
    Attribute.DECRYPT: False,
    Attribute.SIGN: False,
}
_IMPORT_PUBLIC: Final[_Kind] = {
    Attribute.CLASS: ObjectClass.PUBLIC_KEY,
    Attribute.KEY_TYPE: KeyType.RSA,
    Attribute.TOKEN: True,
    Attribute.ENCRYPT: False,
    Attribute.VERIFY: False,
    Attribute.WRAP: False,
}
_TRUSTED_PUBLIC: Final[_Kind] = {
    Attribute.CLASS: ObjectClass.PUBLIC_KEY,
    Attribute.TOKEN: True,
    Attribute.TRUSTED: True,
}
_TRANSPORT: Final[_Kind] = {
    Attribute.CLASS: ObjectClass.SECRET_KEY,
    Attribute.KEY_TYPE: KeyType.AES,
    Attribute.TOKEN: True,
    Attribute.EXTRACTABLE: False,
    Attribute.ENCRYPT: False,
    Attribute.DECRYPT: False,
    Attribute.DERIVE: False,
}
"""Roots and Direct AES keys encrypt."""
_ROOT_PARTS: Final[Mapping[WrapAlgorithm, Sequence[_Kind]]] = {
    WrapAlgorithm.HSM_AES_GCM: (
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.TOKEN: True,
            Attribute.ENCRYPT: True,
            Attribute.DECRYPT: True,
        },
    ),
    WrapAlgorithm.HSM_AES_CBC_HMAC: (
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.TOKEN: True,
            Attribute.ENCRYPT: True,
            Attribute.DECRYPT: True,
        },
        {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.TOKEN: True, Attribute.SIGN: True},
    ),
    WrapAlgorithm.HSM_RSA_OAEP: (
        {
            Attribute.CLASS: ObjectClass.PRIVATE_KEY,
            Attribute.KEY_TYPE: KeyType.RSA,
            Attribute.TOKEN: True,
            Attribute.DECRYPT: True,
            Attribute.UNWRAP: False,
        },
        {
            Attribute.CLASS: ObjectClass.PUBLIC_KEY,
            Attribute.KEY_TYPE: KeyType.RSA,
            Attribute.TOKEN: True,
            Attribute.ENCRYPT: True,
        },
    ),
}
"""The objects of a root, in the order of ``core.root_object_ids`` where that names more than one."""


class RemovalVerbs:
    """Destroys roots, import pairs, trusted and transport keys once the approval gate agreed. Safe to use from any thread.

    What is destroyed is searched by CKA_ID *and* kind. Several objects that fit are all destroyed: CKA_ID is not
    unique, and none of them may stay.
    """

    def __init__(self, module: Module, finder: ObjectFinder, workshop: Workshop, *, role: Role) -> None:
        self._module = module
        self._finder = finder
        self._workshop = workshop
        self._role = role

    def destroy_import_pair(self, cka_id: bytes) -> None:
        """See ``Token.destroy_import_pair``."""
        if self._role is not Role.USER:
            raise HsmRequestError("only the token's user sees import pairs, and so can destroy one")
        self._destroy(
            "import pair", cka_id, [_named(cka_id, kind) for kind in (_IMPORT_PRIVATE, _IMPORT_PUBLIC)]
        )

    def destroy_trusted_public(self, cka_id: bytes) -> None:
        """See ``Token.destroy_trusted_public``."""
        self._destroy("trusted public key", cka_id, [_named(cka_id, _TRUSTED_PUBLIC)])

    def destroy_transport_key(self, transport_id: bytes) -> None:
        """See ``TransportVerbs.destroy_key``."""
        if self._role is not Role.USER:
            raise HsmRequestError("only the token's user sees every transport key, and so can destroy one")
        self._destroy("transport key", transport_id, [_named(transport_id, _TRANSPORT)])

    def destroy_root(self, root_id: RootId, algorithm: WrapAlgorithm) -> None:
        """See ``Token.destroy_root``."""
        check_root_id(root_id)
        if self._role is not Role.USER:
            raise HsmRequestError("only the token's user sees roots, and so can destroy one")
        kinds = _ROOT_PARTS[algorithm]
        ids = root_object_ids(root_id, algorithm)
        names = ids if len(ids) == len(kinds) else ids * len(kinds)
        self._destroy("root", root_id, list(map(_named, names, kinds)), spares=self._is_direct)
        self._finder.forget_all()

    def _destroy(
        self,
        what: str,
        cka_id: bytes,
        templates: Sequence[_Kind],
        *,
        spares: Callable[[int, int], bool] = lambda _session, _handle: False,
    ) -> None:
        name = f"{what} with CKA_ID {cka_id.hex()}"

        def found(session: int) -> list[int]:
            matching = [handle for wanted in templates for handle in self._finder.matching(session, wanted)]
            return [handle for handle in matching if not spares(session, handle)]

        def destroy(session: int) -> None:
            handles = found(session)
            if not handles:
                raise HsmKeyNotFoundError(f"the token holds no {name}")
            for handle in handles:
                self._module.destroy_object(session, handle)

        def confirm(session: int) -> None:
            if found(session):
                raise HsmError(
                    f"the token says that it destroyed the {name}, and still shows it",
                    next_step="destroy it with the vendor's tool, and find out why the token said so",
                )

        def became_of_it(session: int) -> None:
            if found(session):
                raise NotDoneError

        self._workshop.change(f"destroying the {what}", destroy, outcome=became_of_it)
        # Some tokens forget the handle before the object is gone, so the question is asked in a new session.
        self._workshop.use(f"looking whether the {what} is gone", confirm, new_session=True)

    def _is_direct(self, session: int, handle: int) -> bool:
        """Whether it is of a Direct key, which has a verb of its own: an AES key may be just what a root is."""
        label = self._module.get_attributes(session, handle, (Attribute.LABEL,)).get(Attribute.LABEL)
        return isinstance(label, str) and label.startswith(LABEL_PREFIX)


def _named(cka_id: bytes, kind: _Kind) -> _Kind:
    return {**kind, Attribute.ID: cka_id}

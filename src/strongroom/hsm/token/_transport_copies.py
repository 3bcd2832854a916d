"""Keys on their way: wrapped out under a member's own transport key, taken in under another member's."""

from strongroom.core import HsmError, HsmIntegrityError, HsmKey, HsmRequestError, RootId, TransportKind
from strongroom.hsm.cryptoki import (
    AesEcb,
    AesKeyWrapPad,
    AesKwp,
    Attribute,
    Mechanism,
    MechanismType,
    Module,
    ObjectClass,
)
from strongroom.hsm.token._direct_admin import LABEL_PREFIX
from strongroom.hsm.token._direct_checks import check_key
from strongroom.hsm.token._direct_templates import secret_half
from strongroom.hsm.token._making import ObjectMaking, check_label
from strongroom.hsm.token._objects import ObjectFinder
from strongroom.hsm.token._templates import ObjectPlan, may_be_root_length, unwrapped_root
from strongroom.hsm.token._transport_setup import check_cka_id
from strongroom.hsm.token._transport_templates import taken_public
from strongroom.hsm.token._values import KeyCheckValue
from strongroom.hsm.token._work import Workshop
from strongroom.hsm.token._wrapping import check_root_id

_MAX_WRAPPED_BYTES = 8192
_AES_BLOCK_BYTES = 16
_CHECK_VALUE_BYTES = 3


class TransportCopies:
    """Copies keys from token to token, once the approval gate agreed. Safe to use from any thread."""

    def __init__(self, module: Module, finder: ObjectFinder, workshop: Workshop) -> None:
        self._module = module
        self._finder = finder
        self._workshop = workshop
        self._make = ObjectMaking(module, finder)

    def wrap_out(self, cka_id: bytes, kind: TransportKind, *, transport_id: bytes) -> bytes:
        """See ``TransportVerbs.wrap_out``."""
        check_cka_id(cka_id)
        check_cka_id(transport_id)
        object_class = ObjectClass.PRIVATE_KEY if kind.is_private_key else ObjectClass.SECRET_KEY

        def wrap(session: int) -> bytes:
            transport = self._finder.find_uncached(session, transport_id, ObjectClass.SECRET_KEY)
            key = self._finder.find_uncached(session, cka_id, object_class)
            self._require(session, key, Attribute.EXTRACTABLE, "it was made never to leave it")
            # The token must check both as well, but some (NSS softokn) do not.
            self._require(session, transport, Attribute.TRUSTED, "the wrapping key is not trusted")
            self._require(session, key, Attribute.WRAP_WITH_TRUSTED, "it may leave under any key")
            mechanism = self._mechanism(session, transport)
            return self._module.wrap_key(session, mechanism, wrapping_key=transport, key=key)

        return self._workshop.use("wrapping a key out", wrap, blames_caller=True)

    def take_in_root(
        self, root_id: RootId, label: str, *, transport_id: bytes, wrapped: bytes, expected: KeyCheckValue
    ) -> None:
        """See ``TransportVerbs.take_in_root``."""
        check_root_id(root_id)
        plan = unwrapped_root(root_id, label)

        def look_at(session: int, root: int) -> None:
            value_len = self._module.get_attributes(session, root, (Attribute.VALUE_LEN,))
            if not may_be_root_length(value_len.get(Attribute.VALUE_LEN)):
                raise HsmRequestError("the wrapped key is no root: it has another length")
            # As PKCS#11 2.40, section 2.6.5; SoftHSM tells no CKA_CHECK_VALUE of keys that were unwrapped.
            zeros = bytes(_AES_BLOCK_BYTES)
            arrived = self._module.encrypt(session, AesEcb(), root, zeros)[:_CHECK_VALUE_BYTES].hex()
            if arrived != expected.value:
                raise HsmIntegrityError("the root that arrived has another key check value than was expected")

        def take(session: int) -> None:
            self._make.refuse_existing(session, root_id)
            root = self._unwrap(session, plan, transport_id=transport_id, wrapped=wrapped)
            with self._make.destroyed_on_failure(session, root):
                self._make.read_back(session, root, plan)
                look_at(session, root)

        check_label(label)
        check_cka_id(transport_id)
        _check_wrapped(wrapped)
        self._workshop.change("taking a root in", take, name=root_id, outcome=self._make.undoing(root_id))

    def take_in_key(
        self, key: HsmKey, label: str, *, transport_id: bytes, wrapped: bytes, spki_der: bytes
    ) -> None:
        """See ``TransportVerbs.take_in_key``."""
        check_key(key)
        label = LABEL_PREFIX + label
        check_label(label)
        check_cka_id(transport_id)
        _check_wrapped(wrapped)
        plan = secret_half(key, label, may_leave=True, made_inside=False)
        public = taken_public(key, label, spki_der) if key.spec.is_pair else None

        def take(session: int) -> None:
            self._make.refuse_existing(session, key.key_id)
            made = self._unwrap(session, plan, transport_id=transport_id, wrapped=wrapped)
            with self._make.destroyed_on_failure(session, made):
                self._make.read_back(session, made, plan)
                if public is not None:
                    half = self._module.create_object(session, public.template)
                    with self._make.destroyed_on_failure(session, half):
                        self._make.read_back(session, half, public)

        undo = self._make.undoing(key.key_id)
        self._workshop.change("taking a key in", take, name=key.key_id, outcome=undo)

    def _unwrap(self, session: int, plan: ObjectPlan, *, transport_id: bytes, wrapped: bytes) -> int:
        transport = self._finder.find_uncached(session, transport_id, ObjectClass.SECRET_KEY)
        mechanism = self._mechanism(session, transport)
        return self._module.unwrap_key(
            session, mechanism, unwrapping_key=transport, wrapped=wrapped, template=plan.template
        )

    def _mechanism(self, session: int, transport: int) -> Mechanism:
        """The one mechanism that the transport key may be used with."""
        found = self._module.get_attributes(session, transport, (Attribute.ALLOWED_MECHANISMS,))
        allowed = found.get(Attribute.ALLOWED_MECHANISMS)
        if allowed == (MechanismType.AES_KEY_WRAP_KWP,):
            return AesKwp()
        if allowed == (MechanismType.AES_KEY_WRAP_PAD,):
            return AesKeyWrapPad()
        raise HsmError(
            "the transport key has not exactly one mechanism of those that are known",
            next_step="somebody else made it: look at the token with the vendor's tool",
        )

    def _require(self, session: int, handle: int, attribute: Attribute, otherwise: str) -> None:
        if self._module.get_attributes(session, handle, (attribute,)).get(attribute) is not True:
            raise HsmRequestError(f"the key stays in the token: {otherwise} (CKA_{attribute.name})")


def _check_wrapped(wrapped: bytes) -> None:
    if not 1 <= len(wrapped) <= _MAX_WRAPPED_BYTES:
        raise HsmRequestError(f"a wrapped key has 1 to {_MAX_WRAPPED_BYTES:,} bytes, not {len(wrapped)}")

"""The admin verbs: what makes, copies or lists keys inside a token. None is ever repeated by itself."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from strongroom.core import HsmError, HsmIntegrityError, HsmRequestError, RootId
from strongroom.hsm.cryptoki import (
    AesEcb,
    AesKeyGen,
    Attribute,
    HashAlgorithm,
    Module,
    ObjectClass,
    RsaKeyPairGen,
    RsaOaep,
)
from strongroom.hsm.token._objects import ObjectFinder
from strongroom.hsm.token._profile import Profile
from strongroom.hsm.token._spki import numbers_from_spki, spki_from_numbers
from strongroom.hsm.token._templates import (
    ObjectPlan,
    generated_root,
    import_private,
    import_public,
    may_be_root_length,
    trusted_public,
    unwrapped_root,
)
from strongroom.hsm.token._use import check_root_id
from strongroom.hsm.token._values import KeyCheckValue, ObjectSummary, Role
from strongroom.hsm.token._work import Workshop

_AES_BLOCK_BYTES = 16
_CHECK_VALUE_BYTES = 3
_MAX_CKA_ID_BYTES = 64
_MAX_LABEL_BYTES = 128
_MAX_WRAPPED_BYTES = 1024


class AdminVerbs:
    """What main may ask of a token once the approval gate agreed. Safe to use from any thread."""

    def __init__(
        self, module: Module, finder: ObjectFinder, workshop: Workshop, *, profile: Profile, role: Role
    ) -> None:
        self._module = module
        self._finder = finder
        self._workshop = workshop
        self._import_key_bits = profile.import_key_bits
        self._oaep_hash = HashAlgorithm[profile.oaep_hash.upper()]
        self._role = role

    def generate_root(self, root_id: RootId, label: str) -> KeyCheckValue:
        """See ``Token.generate_root``."""
        check_root_id(root_id)
        _check_names(root_id, label)
        plan = generated_root(root_id, label)

        def generate(session: int) -> KeyCheckValue:
            self._refuse_existing(session, root_id)
            root = self._module.generate_key(session, AesKeyGen(), plan.template)
            with self._destroyed_on_failure(session, root):
                self._read_back(session, root, plan)
                return self._check_value(session, root)

        return self._workshop.change("generating a root", generate)

    def generate_import_pair(self, cka_id: bytes, label: str) -> bytes:
        """See ``Token.generate_import_pair``."""
        _check_names(cka_id, label)
        public = import_public(cka_id, label, modulus_bits=self._import_key_bits)
        private = import_private(cka_id, label)

        def generate(session: int) -> bytes:
            self._refuse_existing(session, cka_id)
            public_key, private_key = self._module.generate_key_pair(
                session, RsaKeyPairGen(), public=public.template, private=private.template
            )
            with self._destroyed_on_failure(session, public_key, private_key):
                self._read_back(session, public_key, public)
                self._read_back(session, private_key, private)
                return self._spki(session, public_key)

        return self._workshop.change("generating an import pair", generate)

    def import_trusted_public(self, cka_id: bytes, label: str, spki_der: bytes) -> None:
        """See ``Token.import_trusted_public``."""
        if self._role is not Role.SECURITY_OFFICER:
            raise HsmRequestError("only the token's security officer can mark a key as trusted")
        _check_names(cka_id, label)
        modulus, exponent = numbers_from_spki(spki_der)
        plan = trusted_public(cka_id, label, modulus=modulus, exponent=exponent)

        def create(session: int) -> None:
            self._refuse_existing(session, cka_id)
            key = self._module.create_object(session, plan.template)
            with self._destroyed_on_failure(session, key):
                self._read_back(session, key, plan)

        self._workshop.change("importing a trusted public key", create)

    def wrap_out_root(self, root_id: RootId, *, wrapping_cka_id: bytes) -> bytes:
        """See ``Token.wrap_out_root``."""
        check_root_id(root_id)

        def wrap(session: int) -> bytes:
            wrapping_key = self._finder.find_uncached(session, wrapping_cka_id, ObjectClass.PUBLIC_KEY)
            root = self._finder.find_uncached(session, root_id, ObjectClass.SECRET_KEY)
            # The token must check both as well, but some (NSS softokn) do not.
            self._require(session, wrapping_key, Attribute.TRUSTED, "the wrapping key is not trusted")
            self._require(session, root, Attribute.WRAP_WITH_TRUSTED, "the root may leave under any key")
            mechanism = RsaOaep(self._oaep_hash)
            return self._module.wrap_key(session, mechanism, wrapping_key=wrapping_key, key=root)

        return self._workshop.change("wrapping a root out", wrap)

    def unwrap_in_root(
        self, root_id: RootId, label: str, *, import_cka_id: bytes, wrapped: bytes, expected: KeyCheckValue
    ) -> KeyCheckValue:
        """See ``Token.unwrap_in_root``."""
        check_root_id(root_id)
        _check_names(root_id, label)
        if not 1 <= len(wrapped) <= _MAX_WRAPPED_BYTES:
            raise HsmRequestError(f"a wrapped root has 1 to {_MAX_WRAPPED_BYTES:,} bytes, not {len(wrapped)}")
        plan = unwrapped_root(root_id, label)

        def unwrap(session: int) -> KeyCheckValue:
            self._refuse_existing(session, root_id)
            import_key = self._finder.find_uncached(session, import_cka_id, ObjectClass.PRIVATE_KEY)
            root = self._module.unwrap_key(
                session,
                RsaOaep(self._oaep_hash),
                unwrapping_key=import_key,
                wrapped=wrapped,
                template=plan.template,
            )
            with self._destroyed_on_failure(session, root):
                self._read_back(session, root, plan)
                self._refuse_wrong_length(session, root)
                arrived = self._check_value(session, root)
                if arrived != expected:
                    raise HsmIntegrityError(
                        "the root that arrived has another key check value than was expected"
                    )
                return arrived

        return self._workshop.change("unwrapping a root", unwrap)

    def root_check_value(self, root_id: RootId) -> KeyCheckValue:
        """See ``Token.root_check_value``."""
        check_root_id(root_id)

        def read(session: int) -> KeyCheckValue:
            return self._check_value(
                session, self._finder.find_uncached(session, root_id, ObjectClass.SECRET_KEY)
            )

        return self._workshop.use("reading a check value", read)

    def list_objects(self) -> list[ObjectSummary]:
        """See ``Token.list_objects``."""
        return self._workshop.use("listing objects", self._finder.summaries)

    def _refuse_existing(self, session: int, cka_id: bytes) -> None:
        if self._finder.exists(session, cka_id):
            raise HsmRequestError(
                f"the token already holds an object with CKA_ID {cka_id.hex()}",
                next_step="take another id, or destroy the object that is there",
            )

    def _read_back(self, session: int, handle: int, plan: ObjectPlan) -> None:
        """Compare what the token says of a new object with the plan. Raises HsmError naming what differs."""
        found = self._module.get_attributes(session, handle, tuple(plan.expected))
        differing = [f"CKA_{name.name}" for name, value in plan.expected.items() if found.get(name) != value]
        if differing:
            raise HsmError(
                f"the token made an object with other attributes than it was told: {', '.join(differing)}",
                next_step="this token needs another profile; the object was destroyed, list_objects shows the rest",
            )

    def _refuse_wrong_length(self, session: int, root: int) -> None:
        value_len = self._module.get_attributes(session, root, (Attribute.VALUE_LEN,)).get(
            Attribute.VALUE_LEN
        )
        if not may_be_root_length(value_len):
            raise HsmRequestError(f"the wrapped key is no root: it has {value_len!r} bytes")

    @contextmanager
    def _destroyed_on_failure(self, session: int, *handles: int) -> Iterator[None]:
        try:
            yield
        except BaseException:
            for handle in handles:
                with suppress(HsmError):
                    self._module.destroy_object(session, handle)
            raise

    def _require(self, session: int, handle: int, attribute: Attribute, otherwise: str) -> None:
        if self._module.get_attributes(session, handle, (attribute,)).get(attribute) is not True:
            raise HsmRequestError(f"the root stays in the token: {otherwise} (CKA_{attribute.name})")

    def _check_value(self, session: int, root: int) -> KeyCheckValue:
        found = self._module.get_attributes(session, root, (Attribute.CHECK_VALUE,)).get(
            Attribute.CHECK_VALUE
        )
        if not isinstance(found, bytes) or len(found) != _CHECK_VALUE_BYTES:
            # SoftHSM gives none to keys that were unwrapped, so make it as PKCS#11 2.40, 2.6.5 defines it.
            zeros = bytes(_AES_BLOCK_BYTES)
            found = self._module.encrypt(session, AesEcb(), root, zeros)[:_CHECK_VALUE_BYTES]
        return KeyCheckValue("CKA_CHECK_VALUE", found.hex())

    def _spki(self, session: int, public_key: int) -> bytes:
        names = (Attribute.MODULUS, Attribute.PUBLIC_EXPONENT)
        found = self._module.get_attributes(session, public_key, names)
        modulus, exponent = found.get(names[0]), found.get(names[1])
        if not isinstance(modulus, bytes) or not isinstance(exponent, bytes):
            raise HsmError("the token does not tell the public half of the pair that it made")
        return spki_from_numbers(modulus, exponent)


def _check_names(cka_id: bytes, label: str) -> None:
    if not 1 <= len(cka_id) <= _MAX_CKA_ID_BYTES:
        raise HsmRequestError(f"a CKA_ID has 1 to {_MAX_CKA_ID_BYTES} bytes, not {len(cka_id)}")
    if not label.isprintable() or not 1 <= len(label.encode()) <= _MAX_LABEL_BYTES:
        raise HsmRequestError(f"a label is 1 to {_MAX_LABEL_BYTES} bytes of printable text")

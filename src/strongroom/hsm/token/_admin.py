"""The admin verbs: what makes, copies or lists keys inside a token. None is ever repeated by itself."""

from collections.abc import Sequence
from contextlib import ExitStack

from strongroom.core import Clock, HsmIntegrityError, HsmRequestError, RootId, WrapAlgorithm, root_object_ids
from strongroom.hsm.cryptoki import (
    Attribute,
    HashAlgorithm,
    Module,
    ObjectClass,
    RsaKeyPairGen,
    RsaOaep,
)
from strongroom.hsm.token._making import ObjectMaking, check_label
from strongroom.hsm.token._objects import ObjectFinder
from strongroom.hsm.token._profile import Profile
from strongroom.hsm.token._reading_back import read_back
from strongroom.hsm.token._roots import RootMaker, public_key_der
from strongroom.hsm.token._spki import numbers_from_spki
from strongroom.hsm.token._templates import (
    ObjectPlan,
    import_private,
    import_public,
    may_be_root_length,
    trusted_public,
)
from strongroom.hsm.token._usable import when_usable
from strongroom.hsm.token._values import KeyCheckValue, ObjectSummary, Role
from strongroom.hsm.token._work import Workshop
from strongroom.hsm.token._wrapping import Handles, check_root_id, root_parts

_MAX_CKA_ID_BYTES = 64
_MAX_WRAPPED_BYTES = 1024


class AdminVerbs:
    """What main may ask of a token once the approval gate agreed. Safe to use from any thread."""

    def __init__(
        self,
        module: Module,
        finder: ObjectFinder,
        workshop: Workshop,
        *,
        profile: Profile,
        role: Role,
        wrap_algorithm: WrapAlgorithm,
        clock: Clock,
    ) -> None:
        self._module = module
        self._finder = finder
        self._workshop = workshop
        self._import_key_bits = profile.import_key_bits
        self._oaep_hash = HashAlgorithm[profile.oaep_hash.upper()]
        self._role = role
        self._algorithm = wrap_algorithm
        self._usable_within_s = profile.usable_within_s
        self._clock = clock
        self._making = ObjectMaking(module, finder)
        self._roots = RootMaker(module, self._making, profile, wrap_algorithm)

    def generate_root(self, root_id: RootId, label: str) -> KeyCheckValue:
        """See ``Token.generate_root``."""
        check_root_id(root_id)
        check_label(label)

        def generate(session: int) -> KeyCheckValue:
            self._refuse_existing(session, root_id)
            handles = self._roots.generate(session, root_id, label)
            with self._making.destroyed_on_failure(session, *handles):
                return when_usable(
                    lambda: self._roots.check_value(session, handles),
                    within_s=self._usable_within_s,
                    clock=self._clock,
                )

        undo = self._making.undoing(*root_object_ids(root_id, self._algorithm))
        return self._workshop.change("generating a root", generate, name=root_id, outcome=undo)

    def generate_import_pair(self, cka_id: bytes, label: str) -> bytes:
        """See ``Token.generate_import_pair``."""
        _check_names(cka_id, label)
        self._refuse_unless_roots_travel()
        public = import_public(cka_id, label, modulus_bits=self._import_key_bits)
        private = import_private(cka_id, label, self._algorithm)

        def generate(session: int) -> bytes:
            self._making.refuse_existing(session, cka_id)
            public_key, private_key = self._module.generate_key_pair(
                session, RsaKeyPairGen(), public=public.template, private=private.template
            )
            with self._making.destroyed_on_failure(session, public_key, private_key):
                self._making.read_back(session, public_key, public)
                self._making.read_back(session, private_key, private)
                return public_key_der(self._module, session, public_key)

        return self._workshop.change(
            "generating an import pair", generate, outcome=self._making.undoing(cka_id)
        )

    def import_trusted_public(self, cka_id: bytes, label: str, spki_der: bytes) -> None:
        """See ``Token.import_trusted_public``."""
        if self._role is not Role.SECURITY_OFFICER:
            raise HsmRequestError("only the token's security officer can mark a key as trusted")
        _check_names(cka_id, label)
        modulus, exponent = numbers_from_spki(spki_der)
        plan = trusted_public(cka_id, label, modulus=modulus, exponent=exponent)

        def create(session: int) -> None:
            self._making.refuse_existing(session, cka_id)
            key = self._module.create_object(session, plan.template)
            with self._making.destroyed_on_failure(session, key):
                self._making.read_back(session, key, plan)

        self._workshop.change("importing a trusted public key", create, outcome=self._making.undoing(cka_id))

    def wrap_out_root(self, root_id: RootId, *, wrapping_cka_id: bytes) -> bytes:
        """See ``Token.wrap_out_root``."""
        check_root_id(root_id)
        self._refuse_unless_roots_travel()

        def wrap(session: int) -> bytes:
            wrapping_key = self._finder.find_uncached(session, wrapping_cka_id, ObjectClass.PUBLIC_KEY)
            # The token must check this and the next as well, but some (NSS softokn) do not.
            self._require(session, wrapping_key, Attribute.TRUSTED, "the wrapping key is not trusted")
            wrapped = []
            for part in self._found(session, root_id):
                self._require(session, part, Attribute.WRAP_WITH_TRUSTED, "the root may leave under any key")
                mechanism = RsaOaep(self._oaep_hash)
                wrapped.append(self._module.wrap_key(session, mechanism, wrapping_key=wrapping_key, key=part))
            return b"".join(wrapped)  # all of one length: that of the modulus

        return self._workshop.use("wrapping a root out", wrap, blames_caller=True)

    def unwrap_in_root(
        self, root_id: RootId, label: str, *, import_cka_id: bytes, wrapped: bytes, expected: KeyCheckValue
    ) -> KeyCheckValue:
        """See ``Token.unwrap_in_root``."""
        check_root_id(root_id)
        check_label(label)
        self._refuse_unless_roots_travel()
        plans = self._roots.arriving(root_id, label)
        wrapped_parts = _split(wrapped, len(plans))

        def unwrap(session: int) -> KeyCheckValue:
            self._refuse_existing(session, root_id)
            import_key = self._finder.find_uncached(session, import_cka_id, ObjectClass.PRIVATE_KEY)
            handles: Handles = ()
            with ExitStack() as undo:
                for plan, wrapped_part in zip(plans, wrapped_parts, strict=True):
                    handle = self._unwrap_part(session, plan, import_key, wrapped_part)
                    undo.enter_context(self._making.destroyed_on_failure(session, handle))
                    self._making.read_back(session, handle, plan)
                    self._refuse_wrong_length(session, handle)
                    handles += (handle,)
                arrived = self._roots.check_value(session, handles)
                if arrived != expected:
                    raise HsmIntegrityError(
                        "the root that arrived has another key check value than was expected"
                    )
                return arrived

        undo = self._making.undoing(*root_object_ids(root_id, self._algorithm))
        return self._workshop.change("unwrapping a root", unwrap, name=root_id, outcome=undo)

    def root_check_value(self, root_id: RootId) -> KeyCheckValue:
        """See ``Token.root_check_value``."""
        check_root_id(root_id)
        return self._workshop.use(
            "reading a check value",
            lambda session: self._roots.check_value(session, self._found(session, root_id)),
        )

    def holds_object(self, cka_id: bytes) -> bool:
        """See ``Token.holds_object``."""
        if not 1 <= len(cka_id) <= _MAX_CKA_ID_BYTES:
            return False
        return self._workshop.use(
            "looking for an object", lambda session: self._finder.exists(session, cka_id)
        )

    def read_back(self, cka_id: bytes) -> list[tuple[str, dict[str, bool]]]:
        """See ``Token.read_back``."""
        return self._workshop.use(
            "reading attributes back", lambda session: read_back(self._module, self._finder, session, cka_id)
        )

    def list_objects(self) -> list[ObjectSummary]:
        """See ``Token.list_objects``."""
        return self._workshop.use("listing objects", self._finder.summaries)

    def _found(self, session: int, root_id: RootId) -> Handles:
        parts = root_parts(root_id, self._algorithm)
        return tuple([self._finder.find_uncached(session, *part) for part in parts])

    def _refuse_existing(self, session: int, root_id: RootId) -> None:
        for cka_id in root_object_ids(root_id, self._algorithm):
            self._making.refuse_existing(session, cka_id)

    def _refuse_unless_roots_travel(self) -> None:
        if self._algorithm is WrapAlgorithm.HSM_RSA_OAEP:
            raise HsmRequestError(
                "a root that is an RSA pair is longer than what RSA-OAEP wraps: it cannot be copied in this way",
                next_step="copy it by a transport key, or by the vendor's own replication",
            )
        if not self._roots.rules.travels:
            raise HsmRequestError(
                "roots of this token are not extractable: its profile does not replicate by trusted wrapping",
                next_step="use the vendor's own replication, or a cluster of one member",
            )

    def _unwrap_part(self, session: int, plan: ObjectPlan, import_key: int, wrapped: bytes) -> int:
        return self._module.unwrap_key(
            session,
            RsaOaep(self._oaep_hash),
            unwrapping_key=import_key,
            wrapped=wrapped,
            template=plan.template,
        )

    def _refuse_wrong_length(self, session: int, root: int) -> None:
        name = Attribute.VALUE_LEN
        value_len = self._module.get_attributes(session, root, (name,)).get(name)
        if not may_be_root_length(value_len):
            raise HsmRequestError(f"the wrapped key is no root: it has {value_len!r} bytes")

    def _require(self, session: int, handle: int, attribute: Attribute, otherwise: str) -> None:
        if self._module.get_attributes(session, handle, (attribute,)).get(attribute) is not True:
            raise HsmRequestError(f"the root stays in the token: {otherwise} (CKA_{attribute.name})")


def _split(wrapped: bytes, n_parts: int) -> Sequence[bytes]:
    """Cut what ``wrap_out_root`` made into the objects of the root: all are as long as the modulus."""
    size, rest = divmod(len(wrapped), n_parts)
    if rest or not 1 <= size <= _MAX_WRAPPED_BYTES:
        most = n_parts * _MAX_WRAPPED_BYTES
        raise HsmRequestError(f"a wrapped root has 1 to {most:,} bytes, not {len(wrapped)}")
    return [wrapped[at : at + size] for at in range(0, len(wrapped), size)]


def _check_names(cka_id: bytes, label: str) -> None:
    if not 1 <= len(cka_id) <= _MAX_CKA_ID_BYTES:
        raise HsmRequestError(f"a CKA_ID has 1 to {_MAX_CKA_ID_BYTES} bytes, not {len(cka_id)}")
    check_label(label)

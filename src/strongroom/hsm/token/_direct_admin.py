"""Making and destroying Direct keys. None of it is ever repeated by itself."""

import threading
from typing import Final

from strongroom.core import Clock, Deadline, HsmError, HsmKey, HsmKeyNotFoundError, HsmRequestError, KeySpec
from strongroom.hsm.cryptoki import (
    AesKeyGen,
    Attribute,
    CurveNotSupportedError,
    DomainParamsInvalidError,
    EcEdwardsKeyPairGen,
    EcKeyPairGen,
    GenericSecretKeyGen,
    KeyHandleInvalidError,
    KeySizeRangeError,
    Mechanism,
    Module,
    ObjectClass,
    ObjectHandleInvalidError,
    RsaKeyPairGen,
    Template,
)
from strongroom.hsm.token._direct_checks import check_key, refuse_what_token_lacks
from strongroom.hsm.token._direct_operations import DirectOperations
from strongroom.hsm.token._direct_proof import KeyProof
from strongroom.hsm.token._direct_templates import key_type, public_half, secret_class, secret_half
from strongroom.hsm.token._making import ObjectMaking, check_label
from strongroom.hsm.token._objects import ObjectFinder
from strongroom.hsm.token._profile import Profile
from strongroom.hsm.token._values import ObjectSummary
from strongroom.hsm.token._work import NotDoneError, Workshop

LABEL_PREFIX: Final = "direct-"
"""How the label of every object of a Direct key begins, and of nothing else: so no root is destroyed as one."""

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
_NO_SUCH_KEY: Final = (CurveNotSupportedError, DomainParamsInvalidError, KeySizeRangeError)


class DirectAdmin:
    """What main may ask of a token once the approval gate agreed. Safe to use from any thread."""

    def __init__(
        self,
        module: Module,
        finder: ObjectFinder,
        workshop: Workshop,
        operations: DirectOperations,
        *,
        profile: Profile,
        clock: Clock,
    ) -> None:
        self._module = module
        self._finder = finder
        self._workshop = workshop
        self._operations = operations
        self._making = ObjectMaking(module, finder)
        self._proof = KeyProof(operations)
        self._gcm_mechanism = profile.gcm_mechanism
        self._usable_within_s = profile.usable_within_s
        self._clock = clock
        self._unknown = profile.left_out

    def generate(self, key: HsmKey, label: str, *, may_leave: bool) -> bytes:
        """See ``DirectVerbs.generate``."""
        check_key(key)
        check_label(label)
        check_label(LABEL_PREFIX + label)
        if may_leave and Attribute.WRAP_WITH_TRUSTED in self._unknown:
            raise HsmRequestError(
                "this token cannot keep a key from leaving under any other key: it may not leave"
            )

        def make(session: int) -> bytes:
            # First of all: what fails after this line is undone by name, and a key that was there must not be.
            self._making.refuse_existing(session, key.key_id)
            slot = self._module.session_info(session).slot
            refuse_what_token_lacks(key, self._module.mechanisms(slot), gcm_mechanism=self._gcm_mechanism)
            try:
                if key.spec.is_pair:
                    return self._generate_pair(session, key, LABEL_PREFIX + label, may_leave=may_leave)
                return self._generate_secret(session, key, LABEL_PREFIX + label, may_leave=may_leave)
            except _NO_SUCH_KEY as error:
                raise HsmRequestError(
                    f"this token makes no key of {key.spec}: {error.message}",
                    ckr=error.ckr,
                    next_step="take another key spec, or an HSM that has it",
                ) from error

        return self._workshop.change(
            f"generating a key of {key.spec}",
            make,
            name=key.key_id,
            outcome=self._making.undoing(key.key_id),
        )

    def destroy(self, key: HsmKey) -> None:
        """See ``DirectVerbs.destroy``."""
        check_key(key)
        name = f"Direct key with CKA_ID {key.key_id.hex()}"

        def destroy(session: int) -> None:
            handles = self._held(session, key)
            if not handles:
                raise HsmKeyNotFoundError(f"the token holds no {name}")
            for handle in handles:
                self._module.destroy_object(session, handle)

        def confirm(session: int) -> None:
            if self._held(session, key):
                raise HsmError(
                    f"the token says that it destroyed the {name}, and still shows it",
                    next_step="destroy it with the vendor's tool, and find out why the token said so",
                )

        def became_of_it(session: int) -> None:
            if self._held(session, key):
                raise NotDoneError

        self._workshop.change("destroying a Direct key", destroy, name=key.key_id, outcome=became_of_it)
        self._finder.forget_all()
        # Some tokens forget the handle before the object is gone, so the question is asked in a new session.
        self._workshop.use("looking whether the Direct key is gone", confirm, new_session=True)

    def holds(self, key: HsmKey) -> bool:
        """See ``DirectVerbs.holds``."""
        check_key(key)
        return self._workshop.use(
            "looking for a Direct key",
            lambda session: any(self._found(session, key, secret_class(key.spec))),
        )

    def inventory(self) -> list[ObjectSummary]:
        """See ``DirectVerbs.inventory``."""
        found = self._workshop.use("listing Direct keys", self._finder.summaries)
        return [summary for summary in found if summary.label.startswith(LABEL_PREFIX)]

    def _generate_secret(self, session: int, key: HsmKey, label: str, *, may_leave: bool) -> bytes:
        plan = secret_half(key, label, may_leave=may_leave, made_inside=True).without(self._unknown)
        mechanism = AesKeyGen() if key.spec is KeySpec.AES_256 else GenericSecretKeyGen()
        handle = self._module.generate_key(session, mechanism, plan.template)
        with self._making.destroyed_on_failure(session, handle):
            self._making.read_back(session, handle, plan)
            self._prove(session, handle, key, b"")
        return b""

    def _generate_pair(self, session: int, key: HsmKey, label: str, *, may_leave: bool) -> bytes:
        public_plan = public_half(key, label).without(self._unknown)
        private_plan = secret_half(key, label, may_leave=may_leave, made_inside=True).without(self._unknown)
        public, private = self._module.generate_key_pair(
            session, _pair_mechanism(key.spec), public=public_plan.template, private=private_plan.template
        )
        with self._making.destroyed_on_failure(session, public, private):
            self._making.read_back(session, public, public_plan)
            self._making.read_back(session, private, private_plan)
            spki_der = self._operations.public_key(session, public, key)
            self._prove(session, private, key, spki_der)
        return spki_der

    def _prove(self, session: int, handle: int, key: HsmKey, spki_der: bytes) -> None:
        """Prove a new key; some HSMs show it and let it be used only after a while (``Profile.usable_within_s``)."""
        until = Deadline.after(self._clock, self._usable_within_s)
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return self._proof.run(session, handle, key, spki_der)
            except (KeyHandleInvalidError, ObjectHandleInvalidError):
                if until.remaining_s() <= pause_s:
                    raise
            threading.Event().wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _held(self, session: int, key: HsmKey) -> list[int]:
        """Find every object of the key: CKA_ID is not unique, and none of them may stay."""
        secret = self._found(session, key, secret_class(key.spec))
        return secret + (self._found(session, key, ObjectClass.PUBLIC_KEY) if key.spec.is_pair else [])

    def _found(self, session: int, key: HsmKey, object_class: ObjectClass) -> list[int]:
        template: Template = {
            Attribute.CLASS: object_class,
            Attribute.KEY_TYPE: key_type(key.spec),
            Attribute.TOKEN: True,
            Attribute.ID: bytes(key.key_id),
        }
        handles = self._finder.matching(session, template)
        return [handle for handle in handles if self._is_direct(session, handle)]

    def _is_direct(self, session: int, handle: int) -> bool:
        label = self._module.get_attributes(session, handle, (Attribute.LABEL,)).get(Attribute.LABEL)
        return isinstance(label, str) and label.startswith(LABEL_PREFIX)


def _pair_mechanism(spec: KeySpec) -> Mechanism:
    if spec.is_rsa:
        return RsaKeyPairGen()
    return EcEdwardsKeyPairGen() if spec is KeySpec.ECC_NIST_EDWARDS25519 else EcKeyPairGen()

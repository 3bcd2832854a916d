"""Making the objects of a root, whatever its algorithm, and telling roots apart by a check value."""

import hashlib
from contextlib import ExitStack
from typing import Final

from strongroom.core import HsmError, RootId, WrapAlgorithm
from strongroom.hsm.cryptoki import (
    AesCbc,
    AesEcb,
    AesKeyGen,
    Attribute,
    GenericSecretKeyGen,
    Hmac,
    Mechanism,
    MechanismType,
    Module,
    RsaKeyPairGen,
    VendorMechanism,
)
from strongroom.hsm.token._making import ObjectMaking
from strongroom.hsm.token._profile import Profile
from strongroom.hsm.token._spki import spki_from_numbers
from strongroom.hsm.token._templates import ObjectPlan, RootRules, arriving_parts, generated_parts
from strongroom.hsm.token._values import KeyCheckValue
from strongroom.hsm.token._wrapping import Handles
from strongroom.hsm.token._wrapping_oaep import root_modulus_bits

_AES_BLOCK: Final = bytes(16)
_CHECK_VALUE_BYTES: Final = 3
_MAC_CHECKED: Final = b"strongroom check value v1"


class RootMaker:
    """Makes roots of one algorithm on one token. Safe to use from any thread, each with a session of its own."""

    def __init__(
        self, module: Module, making: ObjectMaking, profile: Profile, algorithm: WrapAlgorithm
    ) -> None:
        self._module = module
        self._making = making
        self._rules = RootRules(
            algorithm=algorithm,
            travels=profile.replication == "trusted-wrapping",
            modulus_bits=root_modulus_bits(profile),
            mac_key_type=profile.mac_key_type,
            unknown=profile.left_out,
        )
        self._mac_key_gen = (
            GenericSecretKeyGen()
            if profile.mac_key_gen == MechanismType.GENERIC_SECRET_KEY_GEN
            else VendorMechanism(profile.mac_key_gen)
        )

    @property
    def rules(self) -> RootRules:
        """What shapes the objects of a root here."""
        return self._rules

    def generate(self, session: int, root_id: RootId, label: str, *, on_token: bool = True) -> Handles:
        """Make every object of a root and read it back; when one fails, those made before are destroyed.

        ``on_token`` False makes session objects, for tests. Raises HsmError naming an attribute that came out
        otherwise, and CryptokiError.
        """
        plans = generated_parts(root_id, label, self._rules, on_token=on_token)
        made: Handles = ()
        with ExitStack() as undo:
            if self._rules.algorithm is WrapAlgorithm.HSM_RSA_OAEP:
                public, private = plans
                made = self._module.generate_key_pair(
                    session, RsaKeyPairGen(), public=public.template, private=private.template
                )
                undo.enter_context(self._making.destroyed_on_failure(session, *made))
            else:
                for plan, mechanism in zip(plans, (AesKeyGen(), self._mac_key_gen), strict=False):
                    made += (self._secret_key(session, plan, mechanism, undo),)
            for handle, plan in zip(made, plans, strict=True):
                self._making.read_back(session, handle, plan)
        return made

    def arriving(self, root_id: RootId, label: str) -> tuple[ObjectPlan, ...]:
        """Plan every object of a root that comes wrapped from another token."""
        return arriving_parts(root_id, label, self._rules)

    def check_value(self, session: int, handles: Handles) -> KeyCheckValue:
        """Return what tells this root from others.

        AES-GCM: CKA_CHECK_VALUE (PKCS#11 3.2, section 4.10.2: 3 bytes of an encrypted zero block). AES-CBC with HMAC:
        the same of the AES key, then 3 bytes of the MAC of a fixed text, as ``CKA_CHECK_VALUE+HMAC``. RSA-OAEP:
        SHA-256 of the public half, SubjectPublicKeyInfo in DER.
        """
        if self._rules.algorithm is WrapAlgorithm.HSM_RSA_OAEP:
            spki_der = public_key_der(self._module, session, handles[0])
            return KeyCheckValue("SPKI-SHA-256", hashlib.sha256(spki_der).hexdigest())
        if self._rules.algorithm is WrapAlgorithm.HSM_AES_GCM:
            return KeyCheckValue("CKA_CHECK_VALUE", self._of_aes_key(session, handles[0], AesEcb()).hex())
        # In CBC the first block under an IV of zeros is that of ECB, which some of these tokens lack.
        of_aes = self._of_aes_key(session, handles[0], AesCbc(_AES_BLOCK))
        of_mac = self._module.sign(session, Hmac(256), handles[1], _MAC_CHECKED)[:_CHECK_VALUE_BYTES]
        return KeyCheckValue("CKA_CHECK_VALUE+HMAC", (of_aes + of_mac).hex())

    def _secret_key(self, session: int, plan: ObjectPlan, mechanism: Mechanism, undo: ExitStack) -> int:
        handle = self._module.generate_key(session, mechanism, plan.template)
        undo.enter_context(self._making.destroyed_on_failure(session, handle))
        return handle

    def _of_aes_key(self, session: int, key: int, mechanism: Mechanism) -> bytes:
        name = Attribute.CHECK_VALUE
        found = self._module.get_attributes(session, key, (name,)).get(name)
        if isinstance(found, bytes) and len(found) == _CHECK_VALUE_BYTES:
            return found
        # SoftHSM gives none to keys that were unwrapped.
        return self._module.encrypt(session, mechanism, key, _AES_BLOCK)[:_CHECK_VALUE_BYTES]


def public_key_der(module: Module, session: int, public_key: int) -> bytes:
    """Return an RSA public key of the token as SubjectPublicKeyInfo, DER. Raises HsmError when it does not tell."""
    names = (Attribute.MODULUS, Attribute.PUBLIC_EXPONENT)
    found = module.get_attributes(session, public_key, names)
    modulus, exponent = found.get(names[0]), found.get(names[1])
    if not isinstance(modulus, bytes) or not isinstance(exponent, bytes):
        raise HsmError("the token does not tell the public half of the pair that it made")
    return spki_from_numbers(modulus, exponent)

"""What a Direct key does, given a session and the handle of its secret half: the calls, and what their answers mean."""

from contextlib import suppress
from typing import Final

from strongroom.core import (
    HsmError,
    HsmKey,
    HsmRequestError,
    KeySpec,
    OaepAlgorithm,
    Secret,
    SigningAlgorithm,
    WrappedBytes,
)
from strongroom.hsm.cryptoki import (
    ArgumentsBadError,
    Attribute,
    CryptokiError,
    EcdhDerive,
    Ecdsa,
    Eddsa,
    HashAlgorithm,
    Hmac,
    KeyType,
    MechanismInvalidError,
    MechanismParamInvalidError,
    Module,
    ModuleContractError,
    ObjectClass,
    RsaOaep,
    RsaPkcs,
    RsaPss,
    RsaRaw,
    Template,
)
from strongroom.hsm.public_keys import (
    curve_of,
    der_from_raw,
    digest_info,
    oaep_hash_name,
    oaep_unpadded,
    spki_from_point,
    spki_from_rsa_numbers,
)
from strongroom.hsm.token._classification import Handling, handling_of
from strongroom.hsm.token._profile import Profile
from strongroom.hsm.token._wrapping import UnexplainedError, decryption_failure
from strongroom.hsm.token._wrapping_gcm import GcmWrapping

_MAY_BE_THE_DATA: Final = frozenset({Handling.CALLER, Handling.BACK_OFF, Handling.UNSURE})
_ED25519_BYTES: Final = 64
_HASHES: Final = {32: HashAlgorithm.SHA256, 48: HashAlgorithm.SHA384, 64: HashAlgorithm.SHA512}
_NO_SUCH_OAEP: Final = (ArgumentsBadError, MechanismInvalidError, MechanismParamInvalidError)


class DirectOperations:
    """Calls on one token. Safe to use from any thread; what is given to them was checked before."""

    def __init__(self, module: Module, profile: Profile) -> None:
        self._module = module
        self._gcm = GcmWrapping(module, profile)
        self._refused_oaep: frozenset[OaepAlgorithm] = frozenset()  # learnt once; replaced, never changed

    def sign(
        self, session: int, handle: int, spec: KeySpec, algorithm: SigningAlgorithm, signed: bytes
    ) -> bytes:
        """Sign, and bring the signature into the form that the world expects."""
        if spec.is_rsa:
            signature = self._sign_rsa(session, handle, algorithm, signed)
            if len(signature) != spec.bits // 8:
                raise ModuleContractError(f"an RSA signature of {len(signature)} bytes by a key of {spec}")
            return signature
        if spec is KeySpec.ECC_NIST_EDWARDS25519:
            signature = self._module.sign(session, Eddsa(), handle, signed)
            if len(signature) != _ED25519_BYTES:
                raise ModuleContractError(f"an Ed25519 signature of {len(signature)} bytes")
            return signature
        return der_from_raw(spec, self._module.sign(session, Ecdsa(), handle, signed))

    def _sign_rsa(self, session: int, handle: int, algorithm: SigningAlgorithm, digest: bytes) -> bytes:
        if "PSS" in algorithm:
            pss = RsaPss(_HASHES[len(digest)], len(digest), hashed_by_token=False)
            return self._module.sign(session, pss, handle, digest)
        return self._module.sign(session, RsaPkcs(), handle, digest_info(digest))

    def mac(self, session: int, handle: int, spec: KeySpec, message: bytes) -> bytes:
        """Make a MAC of full length."""
        made = self._module.sign(session, Hmac(spec.bits), handle, message)
        if len(made) != spec.bits // 8:
            raise ModuleContractError(f"an HMAC of {len(made)} bytes by a key of {spec}")
        return made

    def encrypt(self, session: int, handle: int, plaintext: bytes, aad: bytes) -> WrappedBytes:
        """Encrypt with AES-GCM, under an IV that is made for this call."""
        return self._gcm.encrypt(session, (handle,), plaintext, aad)

    def check_sealed(self, sealed: WrappedBytes) -> None:
        """Raise HsmRequestError unless ``encrypt`` can have made this."""
        if sealed.algorithm is not self._gcm.algorithm:
            raise HsmRequestError(f"Direct keys decrypt HSM_AES_GCM, not {sealed.algorithm!r}")
        self._gcm.check(sealed)

    def decrypt(self, session: int, handle: int, sealed: WrappedBytes, aad: bytes) -> Secret:
        """Decrypt with AES-GCM. Raises HsmIntegrityError, or UnexplainedError where the token gives no reason."""
        return Secret(self._gcm.decrypt(session, (handle,), sealed, aad))

    def decrypt_oaep(self, session: int, handle: int, algorithm: OaepAlgorithm, ciphertext: bytes) -> Secret:
        """Decrypt with RSA-OAEP inside; where the token has no OAEP of this hash, RSA inside and its padding here.

        The second is as sound: the private half stays inside, and the padding is undone without telling what is
        wrong with it. Raises as ``decrypt``.
        """
        mechanism = RsaOaep(HashAlgorithm[oaep_hash_name(algorithm).upper()])
        if algorithm not in self._refused_oaep:
            try:
                return Secret(self._module.decrypt(session, mechanism, handle, ciphertext))
            except _NO_SUCH_OAEP as error:
                if error.function != "C_DecryptInit":  # of the ciphertext nothing is said before C_Decrypt
                    raise _decryption_failure(error) from error
                self._refused_oaep |= {algorithm}
            except CryptokiError as error:
                raise _decryption_failure(error) from error
        return self._decrypt_raw(session, handle, algorithm, ciphertext)

    def _decrypt_raw(self, session: int, handle: int, algorithm: OaepAlgorithm, ciphertext: bytes) -> Secret:
        try:
            encoded = self._module.decrypt(session, RsaRaw(), handle, ciphertext)
        except CryptokiError as error:
            raise _decryption_failure(error) from error
        if len(encoded) > len(ciphertext):
            raise ModuleContractError(f"RSA made {len(encoded)} bytes of {len(ciphertext)}")
        return oaep_unpadded(algorithm, encoded.rjust(len(ciphertext), b"\0"))

    def derive(self, session: int, handle: int, spec: KeySpec, point: bytes) -> Secret:
        """Agree with the owner of a point that was checked; the shared key lives inside for the length of this call."""
        field_len = curve_of(spec).field_len_bytes
        template: Template = {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.GENERIC_SECRET,
            Attribute.TOKEN: False,
            Attribute.PRIVATE: True,
            Attribute.SENSITIVE: False,
            Attribute.EXTRACTABLE: True,
            Attribute.VALUE_LEN: field_len,
        }
        shared = self._module.derive_key(session, EcdhDerive(point), base_key=handle, template=template)
        try:
            value = self._module.get_attributes(session, shared, (Attribute.VALUE,)).get(Attribute.VALUE)
        finally:
            with suppress(HsmError):  # it dies with the session at the latest
                self._module.destroy_object(session, shared)
        if not isinstance(value, bytes) or len(value) != field_len:
            raise ModuleContractError(f"the token does not tell the {field_len} bytes of the agreed secret")
        return Secret(value)

    def public_key(self, session: int, public: int, key: HsmKey) -> bytes:
        """Read the public half and encode it. Raises HsmError when it is no key of this spec."""
        if key.spec.is_curve:
            found = self._module.get_attributes(session, public, (Attribute.EC_POINT,))
            point = found.get(Attribute.EC_POINT)
            if isinstance(point, bytes):
                return spki_from_point(key.spec, point)
        else:
            names = (Attribute.MODULUS, Attribute.PUBLIC_EXPONENT)
            found = self._module.get_attributes(session, public, names)
            modulus, exponent = found.get(names[0]), found.get(names[1])
            if isinstance(modulus, bytes) and isinstance(exponent, bytes):
                return spki_from_rsa_numbers(key.spec, modulus, exponent)
        raise HsmError("the token does not tell the public half of the key")


def _decryption_failure(error: CryptokiError) -> Exception:
    """Say what a failed RSA decryption means. Tokens have many words for a number or a padding that is wrong.

    NSS says CKR_ARGUMENTS_BAD, opencryptoki CKR_FUNCTION_FAILED, SoftHSM CKR_GENERAL_ERROR; whoever sends such a
    ciphertext must not get the member blamed for it.
    """
    if error.function == "C_Decrypt" and handling_of(error) in _MAY_BE_THE_DATA:
        meaning = decryption_failure(error, general_error_is_bad_tag=True)
        return UnexplainedError() if meaning is error else meaning
    return error

"""Symmetric mechanisms: AES modes, key wrapping, CMAC, HMAC, hashes and the generation of secret keys.

Source: PKCS#11 3.2, sections 6.10 to 6.16 (AES), 6.20 to 6.24 (hashes), 6.8 (generic secrets).
"""

from dataclasses import dataclass
from typing import Final, final

from strongroom.hsm.cryptoki._declarations import BYTES_TYPE, MECHANISM_POINTER, ffi
from strongroom.hsm.cryptoki._errors import ParameterError
from strongroom.hsm.cryptoki._limits import check_bytes, check_count
from strongroom.hsm.cryptoki._mechanism import Built, Mechanism, _Plain, with_bytes, with_struct
from strongroom.hsm.cryptoki._mechanism_types import MechanismType

GCM_TAG_BITS: Final = frozenset({96, 104, 112, 120, 128})
_MAX_AAD_BYTES: Final = 1024 * 1024
_GCM_POINTER: Final = ffi.typeof("CK_GCM_PARAMS *")
_GCM_BYTES: Final = ffi.sizeof("CK_GCM_PARAMS")
_SHA2: Final = {
    224: (MechanismType.SHA224, MechanismType.SHA224_HMAC),
    256: (MechanismType.SHA256, MechanismType.SHA256_HMAC),
    384: (MechanismType.SHA384, MechanismType.SHA384_HMAC),
    512: (MechanismType.SHA512, MechanismType.SHA512_HMAC),
}


@final
@dataclass(frozen=True, slots=True)
class AesGcm(Mechanism):
    """CKM_AES_GCM: the ciphertext ends with the tag.

    ``iv`` has 1 to 256 bytes (12 is right for nearly everyone), ``aad`` up to 1 MiB, ``tag_bits`` is 96, 104,
    112, 120 or 128. Some HSMs make their own IV: see ``Module.encrypt``. Those that give it together with the
    ciphertext take a NULL pointer: ``is_iv_from_token`` and an empty ``iv``. ``vendor_number`` is a vendor's variant
    with the same parameter.
    """

    iv: bytes
    aad: bytes = b""
    tag_bits: int = 128
    vendor_number: int | None = None
    is_iv_from_token: bool = False

    def __post_init__(self) -> None:
        iv, aad = self.iv, self.aad
        if type(iv) is not bytes or len(iv) > 256 or bool(iv) is self.is_iv_from_token:
            raise ParameterError("iv must be bytes, 1 to 256 of them, or none when it comes from the token")
        if self.vendor_number is not None and not 0x80000000 <= self.vendor_number < 1 << 32:
            raise ParameterError("vendor_number must be 0x80000000 to 0xFFFFFFFF")
        if type(aad) is not bytes or len(aad) > _MAX_AAD_BYTES:
            raise ParameterError(f"aad must be bytes, at most {_MAX_AAD_BYTES} of them")
        if self.tag_bits not in GCM_TAG_BITS:
            raise ParameterError("tag_bits must be 96, 104, 112, 120 or 128")

    @property
    def number(self) -> int:
        """The CKM_ number."""
        return MechanismType.AES_GCM if self.vendor_number is None else self.vendor_number

    def build(self) -> Built:
        """Make the C structures; the third item is the IV buffer, which the module may write to."""
        iv, aad = self.iv, self.aad
        iv_len, aad_len = len(iv), len(aad)
        iv_buffer = ffi.new(BYTES_TYPE, iv) if iv_len else ffi.NULL
        aad_buffer = ffi.from_buffer(BYTES_TYPE, aad) if aad_len else ffi.NULL
        parameter = ffi.new(_GCM_POINTER, (iv_buffer, iv_len, 8 * iv_len, aad_buffer, aad_len, self.tag_bits))
        mechanism = ffi.new(MECHANISM_POINTER, (self.number, parameter, _GCM_BYTES))
        return mechanism, parameter, iv_buffer, aad_buffer


@dataclass(frozen=True, slots=True)
class AesCbc(Mechanism):
    """CKM_AES_CBC: whole blocks only; ``iv`` has 16 bytes."""

    iv: bytes

    def __post_init__(self) -> None:
        check_bytes(self.iv, "iv", least=16, most=16)

    @property
    def number(self) -> int:
        """The CKM_ number."""
        return MechanismType.AES_CBC

    def build(self) -> Built:
        """Make the C structures."""
        return with_bytes(self.number, self.iv)


@dataclass(frozen=True, slots=True)
class AesCbcPad(AesCbc):
    """CKM_AES_CBC_PAD: PKCS#7 padding; ``iv`` has 16 bytes. Its errors can serve as a padding oracle."""

    @property
    def number(self) -> int:
        """The CKM_ number."""
        return MechanismType.AES_CBC_PAD


@dataclass(frozen=True, slots=True)
class AesCtr(Mechanism):
    """CKM_AES_CTR: ``counter_block`` has 16 bytes, of which the last ``counter_bits`` (1 to 128) count."""

    counter_block: bytes
    counter_bits: int = 128

    def __post_init__(self) -> None:
        check_bytes(self.counter_block, "counter_block", least=16, most=16)
        check_count(self.counter_bits, "counter_bits", 128)

    @property
    def number(self) -> int:
        """The CKM_ number."""
        return MechanismType.AES_CTR

    def build(self) -> Built:
        """Make the C structures."""
        return with_struct(self.number, "CK_AES_CTR_PARAMS", (self.counter_bits, self.counter_block))


class AesEcb(_Plain):
    """CKM_AES_ECB: single blocks, for check values; never for data."""

    __slots__ = ()
    _number = MechanismType.AES_ECB


@dataclass(frozen=True, slots=True)
class AesKeyWrap(Mechanism):
    """CKM_AES_KEY_WRAP (RFC 3394): multiples of 8 bytes; ``iv`` is None for the standard one, or 8 bytes."""

    iv: bytes | None = None

    def __post_init__(self) -> None:
        if self.iv is not None:
            check_bytes(self.iv, "iv", least=8, most=8)

    @property
    def number(self) -> int:
        """The CKM_ number."""
        return MechanismType.AES_KEY_WRAP

    def build(self) -> Built:
        """Make the C structures."""
        return with_bytes(self.number, self.iv or b"")


class AesKeyWrapPad(_Plain):
    """CKM_AES_KEY_WRAP_PAD, 0x210A: RFC 5649 on SoftHSM, another padding on other tokens. Prefer AesKwp."""

    __slots__ = ()
    _number = MechanismType.AES_KEY_WRAP_PAD


class AesKwp(_Plain):
    """CKM_AES_KEY_WRAP_KWP, 0x210B: RFC 5649, any length."""

    __slots__ = ()
    _number = MechanismType.AES_KEY_WRAP_KWP


class AesCmac(_Plain):
    """CKM_AES_CMAC: a MAC of 16 bytes (NIST SP 800-38B)."""

    __slots__ = ()
    _number = MechanismType.AES_CMAC


@dataclass(frozen=True, slots=True)
class Sha2(Mechanism):
    """CKM_SHA224, SHA256, SHA384 or SHA512, by ``bits``, for ``Module.digest``."""

    bits: int = 256

    def __post_init__(self) -> None:
        if self.bits not in _SHA2:
            raise ParameterError("bits must be 224, 256, 384 or 512")

    @property
    def number(self) -> int:
        """The CKM_ number."""
        return _SHA2[self.bits][0]


@dataclass(frozen=True, slots=True)
class Hmac(Mechanism):
    """CKM_SHA224_HMAC to CKM_SHA512_HMAC, by the ``bits`` of the hash; a MAC of full length."""

    bits: int = 256

    def __post_init__(self) -> None:
        if self.bits not in _SHA2:
            raise ParameterError("bits must be 224, 256, 384 or 512")

    @property
    def number(self) -> int:
        """The CKM_ number."""
        return _SHA2[self.bits][1]


class AesKeyGen(_Plain):
    """CKM_AES_KEY_GEN: the template has CKA_VALUE_LEN, 16, 24 or 32 bytes."""

    __slots__ = ()
    _number = MechanismType.AES_KEY_GEN


class GenericSecretKeyGen(_Plain):
    """CKM_GENERIC_SECRET_KEY_GEN: the template has CKA_VALUE_LEN in bytes."""

    __slots__ = ()
    _number = MechanismType.GENERIC_SECRET_KEY_GEN

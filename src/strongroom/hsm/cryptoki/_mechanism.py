"""What a mechanism is: a CKM_ number and a parameter that was checked when the value was made."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Final

from strongroom.hsm.cryptoki._declarations import MECHANISM_POINTER, ffi
from strongroom.hsm.cryptoki._errors import ParameterError
from strongroom.hsm.cryptoki._limits import check_bytes, check_ulong
from strongroom.hsm.cryptoki._mechanism_types import MechanismType

Built = tuple[Any, ...]
"""A CK_MECHANISM pointer, then whatever else must live until the call has returned."""

MAX_PARAMETER_BYTES: Final = 64 * 1024


class HashAlgorithm(Enum):
    """A hash as PKCS#11 names it: the CKM_ number, the CKG_MGF1_ number, and the output in bytes."""

    SHA1 = (MechanismType.SHA_1, 1, 20)
    SHA224 = (MechanismType.SHA224, 5, 28)
    SHA256 = (MechanismType.SHA256, 2, 32)
    SHA384 = (MechanismType.SHA384, 3, 48)
    SHA512 = (MechanismType.SHA512, 4, 64)
    SHA3_224 = (MechanismType.SHA3_224, 6, 28)
    SHA3_256 = (MechanismType.SHA3_256, 7, 32)
    SHA3_384 = (MechanismType.SHA3_384, 8, 48)
    SHA3_512 = (MechanismType.SHA3_512, 9, 64)

    @property
    def mechanism_type(self) -> MechanismType:
        """The CKM_ number of the plain hash."""
        return self.value[0]

    @property
    def mgf1(self) -> int:
        """The CKG_MGF1_ number of the mask generation function with this hash."""
        return self.value[1]

    @property
    def digest_len_bytes(self) -> int:
        """The output in bytes."""
        return self.value[2]


def check_hash(value: HashAlgorithm, what: str = "hash") -> HashAlgorithm:
    """Return ``value`` if it is a HashAlgorithm. Raises ParameterError."""
    if not isinstance(value, HashAlgorithm):
        raise ParameterError(f"{what} must be a HashAlgorithm")
    return value


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A mechanism with its parameter. Make one of the subclasses; they check their fields when made."""

    @property
    def number(self) -> int:
        """The CKM_ number."""
        raise NotImplementedError

    def build(self) -> Built:
        """Make the C structures. The caller keeps the whole tuple until the call has returned."""
        return (ffi.new(MECHANISM_POINTER, (self.number, ffi.NULL, 0)),)


@dataclass(frozen=True, slots=True)
class _Plain(Mechanism):
    """A mechanism without a parameter."""

    _number: ClassVar[MechanismType]

    @property
    def number(self) -> int:
        return self._number


def with_bytes(number: int, parameter: bytes) -> Built:
    """Build a mechanism whose parameter is a byte string; an empty one is a NULL parameter."""
    if not parameter:
        return (ffi.new(MECHANISM_POINTER, (number, ffi.NULL, 0)),)
    copied = ffi.new("CK_BYTE[]", parameter)
    return (ffi.new(MECHANISM_POINTER, (number, copied, len(parameter))), copied)


def with_struct(number: int, c_type: str, fields: tuple[Any, ...], *alive: Any) -> Built:
    """Build a mechanism whose parameter is a structure; ``alive`` is what the structure points to."""
    parameter = ffi.new(f"{c_type} *", fields)
    return (ffi.new(MECHANISM_POINTER, (number, parameter, ffi.sizeof(c_type))), parameter, *alive)


@dataclass(frozen=True, slots=True)
class VendorMechanism(Mechanism):
    """A vendor's own mechanism: a number from 0x80000000 and a parameter of plain bytes.

    Standard numbers are refused, because the parameters of many hold pointers, which bytes must never pose as.
    """

    vendor_number: int
    parameter: bytes = b""

    def __post_init__(self) -> None:
        if not 0x80000000 <= check_ulong(self.vendor_number, "vendor_number") < 1 << 32:
            raise ParameterError("a vendor mechanism has a number from 0x80000000 to 0xFFFFFFFF")
        check_bytes(self.parameter, "parameter", most=MAX_PARAMETER_BYTES)

    @property
    def number(self) -> int:
        """The CKM_ number."""
        return self.vendor_number

    def build(self) -> Built:
        """Make the C structures."""
        return with_bytes(self.vendor_number, self.parameter)

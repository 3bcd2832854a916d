"""From a CKR_ number to the error that stands for it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from strongroom.hsm.cryptoki import _request_errors, _token_errors
from strongroom.hsm.cryptoki._errors import CryptokiError, UnknownReturnValueError, VendorError

CKR_OK: Final = 0
CKR_ATTRIBUTE_SENSITIVE: Final = 0x11
CKR_ATTRIBUTE_TYPE_INVALID: Final = 0x12
CKR_FUNCTION_NOT_SUPPORTED: Final = 0x54
CKR_BUFFER_TOO_SMALL: Final = 0x150
CKR_VENDOR_DEFINED: Final = 0x80000000


def _classes() -> Mapping[int, type[CryptokiError]]:
    found = {}
    for module in (_token_errors, _request_errors):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, CryptokiError) and value.code is not None:
                found[value.code] = value
    return MappingProxyType(found)


ERROR_CLASSES: Final = _classes()
"""Every CKR_ number that PKCS#11 2.40 to 3.2 define, except CKR_OK, with its class."""


def error_for(ckr: int, function: str) -> CryptokiError:
    """Make the error for what ``function`` (a C name) returned; never call it for CKR_OK."""
    error_class = ERROR_CLASSES.get(ckr)
    if error_class is not None:
        return error_class(f"{function}: {error_class.ckr_name} (0x{ckr:x})", ckr=ckr, function=function)
    if ckr >= CKR_VENDOR_DEFINED:
        return VendorError(f"{function}: vendor error 0x{ckr:08x}", ckr=ckr, function=function)
    return UnknownReturnValueError(f"{function}: unknown return value 0x{ckr:x}", ckr=ckr, function=function)

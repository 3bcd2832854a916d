"""The root of what a PKCS#11 call can raise, and the errors that no CKR number stands for.

strongroom.core.HsmError
├── CryptokiError                 ``ckr`` is the number, ``ckr_name`` its spelling in the specification
│   ├── …Error                    one class per CKR_ code (``_token_errors``, ``_request_errors``)
│   ├── VendorError               CKR_VENDOR_DEFINED and above
│   ├── UnknownReturnValueError   a number of no specification that we know
│   ├── ModuleLoadError           there is no such library, or it is no PKCS#11 module (no number)
│   └── ModuleContractError       the module answered what the specification forbids (no number)
└── HsmRequestError
    └── ParameterError            refused by us before the module was called
"""

from typing import ClassVar

from strongroom.core import HsmError, HsmRequestError


class CryptokiError(HsmError):
    """A PKCS#11 function did not return CKR_OK.

    ``function`` names the C function. Messages hold names and numbers only: never a PIN, a key or data.
    """

    ckr_name: ClassVar[str] = ""
    """The specification's spelling, CKR_…; empty where there is none."""
    code: ClassVar[int | None] = None
    """The number of this class; None where one class stands for many numbers or for none."""

    def __init_subclass__(cls, *, name: str = "", code: int | None = None) -> None:
        super().__init_subclass__()
        if name:
            cls.ckr_name = name
        if code is not None:
            cls.code = code

    def __init__(
        self,
        message: str = "",
        *,
        ckr: int | None = None,
        function: str | None = None,
        next_step: str | None = None,
    ) -> None:
        super().__init__(message or self.ckr_name, ckr=self.code if ckr is None else ckr, next_step=next_step)
        self.function = function


class VendorError(CryptokiError, name="CKR_VENDOR_DEFINED"):
    """A return value of the vendor's own: 0x80000000 and above; ``ckr`` keeps the number."""


class UnknownReturnValueError(CryptokiError):
    """A return value below 0x80000000 that PKCS#11 2.40 to 3.2 do not define."""


class ModuleLoadError(CryptokiError):
    """The library is missing, cannot be loaded, or is not a PKCS#11 module."""


class ModuleContractError(CryptokiError):
    """The module answered what the specification forbids: a length beyond its buffer, a Boolean of 3 bytes."""


class ParameterError(HsmRequestError):
    """An argument is out of its bounds. The module was not called."""

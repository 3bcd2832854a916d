"""``Module``: one loaded and initialised PKCS#11 library."""

from typing import Self

from strongroom.hsm.cryptoki._declarations import ffi
from strongroom.hsm.cryptoki._errors import ParameterError
from strongroom.hsm.cryptoki._keys import KeyCalls
from strongroom.hsm.cryptoki._library import open_library
from strongroom.hsm.cryptoki._objects import ObjectCalls
from strongroom.hsm.cryptoki._operations import OperationCalls
from strongroom.hsm.cryptoki._sessions import SessionCalls

_CKF_OS_LOCKING_OK = 0x2


class Module(SessionCalls, ObjectCalls, KeyCalls, OperationCalls):
    """A loaded and initialised PKCS#11 library; a thin, stateless skin over its C functions.

    Thread-safe as far as the library is: it was told to lock (CKF_OS_LOCKING_OK), and each call has buffers of
    its own. One *session* must not be used by two threads at once.

    Every method raises ParameterError (nothing was called) or the CryptokiError of what the module returned. A
    process that was forked from one with a loaded module must not use it.
    """

    @classmethod
    def load(cls, path: str, *, library_parameters: str | None = None) -> Self:
        """Load the library at an absolute path and initialise it for use by threads.

        ``library_parameters`` is the string that NSS takes in C_Initialize; other modules refuse it. Raises
        ModuleLoadError, CryptokiAlreadyInitializedError, and whatever C_Initialize returns.
        """
        if library_parameters is not None and "\x00" in library_parameters:
            raise ParameterError("library_parameters must not hold a zero byte")
        module = cls(open_library(path))
        module._library_parameters = library_parameters  # the class's own
        module.initialize()
        return module

    _library_parameters: str | None = None

    def initialize(self) -> None:
        """C_Initialize: what ``load`` does once, and again after ``finalize``. Raises what C_Initialize returns."""
        text = ffi.NULL
        if self._library_parameters is not None:
            text = ffi.new("char[]", self._library_parameters.encode())
        arguments = ffi.new(
            "CK_C_INITIALIZE_ARGS *", {"flags": _CKF_OS_LOCKING_OK, "LibraryParameters": text}
        )
        self._call("C_Initialize", arguments)

    def finalize(self) -> None:
        """C_Finalize: closes every session of the process. No other thread may be in a call.

        The library stays loaded; ``initialize`` and ``Module.load`` initialise it again.
        """
        self._call("C_Finalize", ffi.NULL)

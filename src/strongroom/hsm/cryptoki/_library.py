"""Opens the shared library and finds its functions.

The library is never unloaded: vendors start threads and register exit handlers, which must not lose their code.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from strongroom.hsm.cryptoki._declarations import (
    FUNCTIONS_2_40,
    FUNCTIONS_3_0,
    FUNCTIONS_3_2,
    ffi,
)
from strongroom.hsm.cryptoki._errors import ModuleLoadError
from strongroom.hsm.cryptoki._return_values import CKR_FUNCTION_NOT_SUPPORTED, CKR_OK, error_for

Function = Callable[..., int]

_NEXT_STEP: Final = "check the path of the PKCS#11 module in the configuration"
_INTERFACE_NAME: Final = b"PKCS 11"
_LISTS: Final = (
    ((3, 2), "CK_FUNCTION_LIST_3_2 *", FUNCTIONS_2_40 + FUNCTIONS_3_0 + FUNCTIONS_3_2),
    ((3, 1), "CK_FUNCTION_LIST_3_0 *", FUNCTIONS_2_40 + FUNCTIONS_3_0),
    ((3, 0), "CK_FUNCTION_LIST_3_0 *", FUNCTIONS_2_40 + FUNCTIONS_3_0),
)
_CALLED: Final = frozenset(
    name for name, arguments in FUNCTIONS_2_40 + FUNCTIONS_3_0 + FUNCTIONS_3_2 if arguments is not None
)


class Library:
    """The functions of one loaded library. ``functions`` has every function that we call.

    One that the library lacks is replaced by one that returns CKR_FUNCTION_NOT_SUPPORTED, so callers need no
    second way to find out. ``names`` has what the library really offers.
    """

    __slots__ = ("_handle", "functions", "names", "path")

    def __init__(self, path: str, handle: Any, present: Mapping[str, Any]) -> None:
        self.path = path
        self._handle = handle
        self.names = frozenset(present)
        self.functions: Mapping[str, Function] = MappingProxyType(
            {name: present.get(name, _not_supported) for name in _CALLED}
        )


def _not_supported(*_arguments: object) -> int:
    return CKR_FUNCTION_NOT_SUPPORTED


def open_library(path: str) -> Library:
    """Load the library at an absolute path, without initialising it.

    Raises ModuleLoadError when there is no such file, it cannot be loaded, or it is no PKCS#11 module of
    version 2.x or 3.x.
    """
    if not path.startswith("/") or "\x00" in path:
        raise ModuleLoadError(f"{path!r} is not an absolute path", next_step=_NEXT_STEP)
    if not Path(path).is_file():
        raise ModuleLoadError(f"there is no PKCS#11 module at {path}", next_step=_NEXT_STEP)
    try:
        # RTLD_NODELETE: when Python forgets the handle, the code must stay.
        handle = ffi.dlopen(path, os.RTLD_NOW | os.RTLD_LOCAL | os.RTLD_NODELETE)
    except OSError as error:
        raise ModuleLoadError(f"{path} cannot be loaded: {error}", next_step=_NEXT_STEP) from error
    return Library(path, handle, _find_functions(path, handle))


def _find_functions(path: str, handle: Any) -> dict[str, Any]:
    for version, c_type, functions in _LISTS:
        function_list = _interface(handle, version, c_type)
        if function_list is not None:
            return _present(function_list, functions)
    try:
        get_function_list = handle.C_GetFunctionList
    except AttributeError as error:
        raise ModuleLoadError(
            f"{path} is not a PKCS#11 module: it has no C_GetFunctionList", next_step=_NEXT_STEP
        ) from error
    pointer = ffi.new("CK_FUNCTION_LIST **")
    returned = get_function_list(pointer)
    if returned != CKR_OK:
        raise ModuleLoadError(f"{path} gives no functions", next_step=_NEXT_STEP) from error_for(
            returned, "C_GetFunctionList"
        )
    plain: Any = pointer[0]
    if plain == ffi.NULL or plain.version.major not in (2, 3):
        raise ModuleLoadError(f"{path} is not PKCS#11 version 2 or 3", next_step=_NEXT_STEP)
    return _present(plain, FUNCTIONS_2_40)


def _interface(handle: Any, version: tuple[int, int], c_type: str) -> Any | None:
    try:
        get_interface = handle.C_GetInterface
    except AttributeError:
        return None
    name = ffi.new("char[]", _INTERFACE_NAME)
    interface = ffi.new("CK_INTERFACE **")
    returned = get_interface(name, ffi.new("CK_VERSION *", version), interface, 0)
    if returned != CKR_OK or interface[0] == ffi.NULL or interface[0].pFunctionList == ffi.NULL:
        return None
    function_list: Any = ffi.cast(c_type, interface[0].pFunctionList)
    offered = (function_list.version.major, function_list.version.minor)
    return function_list if offered == version else None


def _present(function_list: Any, functions: tuple[tuple[str, str | None], ...]) -> dict[str, Any]:
    found = ((name, getattr(function_list, name)) for name, _ in functions)
    return {name: function for name, function in found if function != ffi.NULL}

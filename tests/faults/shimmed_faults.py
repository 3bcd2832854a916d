"""What may go wrong at a member whose worker lives on, by name; everything is undone by ``FaultShim.heal``."""

from collections.abc import Callable
from typing import Final

from faults.fault_shim import FaultShim

_USES: Final = ("C_EncryptInit", "C_DecryptInit", "C_SignInit")


def _at_uses(code: str | int, n_calls: int) -> Callable[[FaultShim], object]:
    def begin(shim: FaultShim) -> None:
        for function in _USES:
            shim.fail(function, code, last=n_calls)

    return begin


def _lost_answer(function: str, code: str) -> Callable[[FaultShim], object]:
    return lambda shim: shim.fail(function, code, last=1, after=True)


PASSING: Final[dict[str, Callable[[FaultShim], object]]] = {
    "sessions are gone": _at_uses("CKR_SESSION_HANDLE_INVALID", 2),
    "handles are stale": _at_uses("CKR_KEY_HANDLE_INVALID", 2),
    "sessions end in mid-operation": lambda shim: [
        shim.fail(function, "CKR_SESSION_HANDLE_INVALID", last=1)
        for function in ("C_Encrypt", "C_Decrypt", "C_Sign")
    ],
    "no session is to be had": lambda shim: shim.fail("C_OpenSession", "CKR_SESSION_COUNT", last=3),
    "a search does not begin": lambda shim: shim.fail("C_FindObjectsInit", "CKR_DEVICE_ERROR", last=1),
    "a search loses its session": lambda shim: shim.fail("C_FindObjects", "CKR_SESSION_CLOSED", last=1),
    "a search finds what is gone": lambda shim: shim.fail(
        "C_GetAttributeValue", "CKR_OBJECT_HANDLE_INVALID", last=1
    ),
    "an operation hangs on": _at_uses("CKR_OPERATION_ACTIVE", 1),
    "no reason given": _at_uses("CKR_GENERAL_ERROR", 1),
    "a code of the vendor's": _at_uses(0x8000_0BAD, 1),
    "the device fails": _at_uses("CKR_DEVICE_ERROR", 1),
    "the device is removed": _at_uses("CKR_DEVICE_REMOVED", 1),
    "it has no random bytes": lambda shim: shim.fail("C_GenerateRandom", 0x8000_001A, last=2),
    "the slots have other numbers": lambda shim: shim.change_slots(1),
    "it works badly": lambda shim: shim.fail("C_Sign", "CKR_FUNCTION_FAILED", chance=0.5),
    "it opens badly": lambda shim: shim.fail("C_Decrypt", "CKR_DEVICE_MEMORY", chance=0.5),
    "logged out": lambda shim: shim.log_out(),
    "the link is cut": lambda shim: shim.cut_link(),
    "the token was out": lambda shim: shim.lose_token(),
    "throttled": lambda shim: shim.throttle(100, burst=3),
    "few sessions": lambda shim: shim.cap_sessions(2),
    "idle sessions die": lambda shim: shim.drop_idle_sessions(0.05),
    "slow": lambda shim: shim.delay("*", 0.02),
    "slow to make keys": lambda shim: shim.delay("C_GenerateKey", 0.4),
    "takes nothing in": lambda shim: shim.fail("C_UnwrapKey", "CKR_DEVICE_MEMORY"),
    "gives nothing out": lambda shim: shim.fail("C_WrapKey", "CKR_FUNCTION_FAILED"),
    "makes nothing": lambda shim: shim.fail("C_GenerateKey", "CKR_DEVICE_ERROR"),
    "says that it destroyed and did not": lambda shim: shim.fail("C_DestroyObject", "CKR_OK", last=2),
    "destroys nothing": lambda shim: shim.fail("C_DestroyObject", "CKR_FUNCTION_FAILED"),
    "the answer to a key made is lost": _lost_answer("C_GenerateKey", "CKR_DEVICE_ERROR"),
    "the answer to a pair made is lost": _lost_answer("C_GenerateKeyPair", "CKR_FUNCTION_FAILED"),
    "the answer to a key taken in is lost": _lost_answer("C_UnwrapKey", "CKR_DEVICE_ERROR"),
    "the answer to a key destroyed is lost": _lost_answer("C_DestroyObject", "CKR_DEVICE_ERROR"),
    "new keys show late": lambda shim: shim.hide_new_keys(0.2),
    "it may not be written": lambda shim: shim.protect_from_writes(),
}
"""The worker recovers, or the others do its work."""

HANGING: Final[dict[str, Callable[[FaultShim], object]]] = {
    "hangs in opening": lambda shim: shim.hang("C_Decrypt", last=1),
    "hangs in making": lambda shim: shim.hang("C_GenerateKey", last=1),
    "hangs in destroying": lambda shim: shim.hang("C_DestroyObject", last=1),
}
"""Until it is healed, or main notices and replaces the worker."""

ENDING: Final[dict[str, Callable[[FaultShim], object]]] = {
    "crashes in signing": lambda shim: shim.crash("C_Sign"),
    "crashes in making": lambda shim: shim.crash("C_GenerateKey"),
    "crashes in destroying": lambda shim: shim.crash("C_DestroyObject"),
    "crashes in taking in": lambda shim: shim.exit("C_UnwrapKey"),
}
"""The worker does not survive it."""

"""A PKCS#11 module that goes wrong on command, in a worker that runs already as well as in this process.

    with FaultShim(tmp_path, softhsm_library()) as shim:
        module = Module.load(str(shim.library))      # or give shim.library to a worker in another process
        fault = shim.fail("C_Encrypt", "CKR_DEVICE_ERROR", first=3, last=3)   # the third call from now on
        ...
        assert fault.hits == 1
        fault.lift()
        assert shim.calls("C_Encrypt") == 12

shim.c is compiled once by a process of tests and written beside its orders file, so that each ``FaultShim`` is a library
of its own to the loader, with a copy of the real module of its own. Orders lie in a mapped file of fixed-size records
(shim_orders.h) and act at once. Without a C compiler the test is skipped, and says so.

One shim stands for one device: what a device keeps (wrong PINs, hidden keys, its rate) is shared by all processes, what a
connection keeps (sessions, whether its link was cut) belongs to each process.
"""

import mmap
import re
import shutil
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import pytest

from strongroom.hsm.cryptoki import ERROR_CLASSES

_HERE = Path(__file__).parent
_ALWAYS = 0
_NS = 1_000_000_000
_IV_MODES = {"caller": 0, "hsm-in-parameter": 1, "hsm-appended": 2, "hsm-prepended": 3}
_DELAY, _HANG, _FAIL, _FAIL_AFTER, _ABORT, _EXIT, _EXIT_AFTER = range(1, 8)
_ACTIVE, _FUNCTION, _ACTION, _ARGUMENT, _FIRST, _LAST, _CHANCE, _STATE, _UNTIL, _SEEN, _HITS, _HOLDING = (
    range(12)
)
_ANY_FUNCTION = 255
IvMode = Literal["caller", "hsm-in-parameter", "hsm-appended", "hsm-prepended"]


@cache
def _numbers() -> dict[str, int]:
    """The numbers of shim_orders.h by name."""
    text = (_HERE / "shim_orders.h").read_text()
    return {name: int(number, 0) for name, number in re.findall(r"\b([A-Z_]+) = (\d+)", text)}


@cache
def functions() -> tuple[str, ...]:
    """The functions of PKCS#11 2.40 in the order of CK_FUNCTION_LIST."""
    return tuple(re.findall(r"^    X\((C_\w+),", (_HERE / "shim_pkcs11.h").read_text(), re.MULTILINE))


def code_of(code: str | int) -> int:
    """The number of a CKR_ name, or the number itself."""
    if isinstance(code, int):
        return code
    if code == "CKR_OK":
        return 0
    return next(number for number, made in ERROR_CLASSES.items() if made.ckr_name == code)


@cache
def built_shim() -> bytes:
    """The compiled shim.c. Skips the test where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler: install gcc and libc6-dev for the fault shim")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "libshim.so"
        flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-fPIC", "-shared", "-fvisibility=hidden"]
        command = [compiler, *flags, "-o", str(library), str(_HERE / "shim.c"), "-ldl", "-lpthread"]
        subprocess.run(command, check=True, timeout=120)
        return library.read_bytes()


class Fault:
    """One rule that is in force until it is lifted."""

    def __init__(self, words: memoryview, place: int, activation: int) -> None:
        self._words = words
        self._place = place
        self._activation = activation

    @property
    def hits(self) -> int:
        """How many calls it has struck."""
        return int(self._words[self._place + _HITS])

    @property
    def holding(self) -> int:
        """How many calls hang in it now."""
        return int(self._words[self._place + _HOLDING])

    @property
    def is_lifted(self) -> bool:
        return int(self._words[self._place + _ACTIVE]) != self._activation

    def lift(self) -> None:
        """End it; calls that hang in it go on. Its numbers can be read until its place is taken again."""
        if not self.is_lifted:
            self._words[self._place + _ACTIVE] = 0

    def wait_until_holding(self, n_calls: int = 1, *, limit_s: float = 30.0) -> None:
        """Wait until so many calls hang in it."""
        deadline = time.monotonic() + limit_s
        while self.holding < n_calls:
            assert time.monotonic() < deadline, f"{self.holding} of {n_calls} calls hang after {limit_s} s"
            time.sleep(0.005)


class FaultShim:
    """One shim over one real module, with its orders."""

    def __init__(self, folder: Path, module: Path | str, *, copy_module: bool = True, seed: int = 0) -> None:
        """Build the library ``self.library`` in ``folder``.

        ``copy_module``: forward to a copy of the module (it keeps its state in globals, and others may have loaded it).
        ``seed``: of faults that strike by chance.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.library = folder / f"shim-{folder.name}.so"
        self.library.write_bytes(built_shim())
        self.module = Path(module)
        if copy_module:
            self.module = Path(shutil.copyfile(module, folder / f"real-{Path(module).name}"))
        orders = Path(f"{self.library}.orders")
        orders.write_bytes(bytes(8 * _numbers()["N_WORDS"]))
        with orders.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._words = memoryview(self._map).cast("Q")
        self._seed = seed
        self._activations = 0
        self._write_header()

    def _write_header(self) -> None:
        start = 8 * _numbers()["MODULE_PATH"]
        path = str(self.module).encode() + b"\0"
        self._map[start : start + len(path)] = path
        self._words[_numbers()["W_MAGIC"]] = int.from_bytes(b"SRSHIM01"[::-1], "big")
        self.heal()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lift every fault, so that nothing hangs, and let go of the orders file."""
        if not self._map.closed:
            self.heal()
            self._words.release()
            self._map.close()

    # --- rules -------------------------------------------------------------------------------------------------

    def delay(
        self, function: str, seconds: float, *, first: int = 1, last: int = _ALWAYS, chance: float = 1.0
    ) -> Fault:
        """Let calls of a function (``"*"``: of all but C_Initialize and C_Finalize) take so much longer."""
        return self._rule(function, _DELAY, int(seconds * _NS), first=first, last=last, chance=chance)

    def hang(self, function: str, *, first: int = 1, last: int = _ALWAYS) -> Fault:
        """Let calls hang until the fault is lifted."""
        return self._rule(function, _HANG, 0, first=first, last=last)

    def fail(
        self,
        function: str,
        code: str | int,
        *,
        first: int = 1,
        last: int = _ALWAYS,
        chance: float = 1.0,
        for_s: float | None = None,
        after: bool = False,
    ) -> Fault:
        """Return a CKR code: on the calls ``first`` to ``last`` counted from now (0: for ever), by chance, or for a time.

        Without ``after`` the real module is not called; ``CKR_OK`` is then a lie. With it the work is done and the
        answer is lost.
        """
        action = _FAIL_AFTER if after else _FAIL
        return self._rule(function, action, code_of(code), first=first, last=last, chance=chance, for_s=for_s)

    def crash(self, function: str, *, nth: int = 1) -> Fault:
        """Abort the process in the n-th call from now on."""
        return self._rule(function, _ABORT, 0, first=nth, last=nth)

    def exit(self, function: str, *, nth: int = 1, status: int = 3, after: bool = False) -> Fault:
        """End the process in the n-th call from now on, without any clean-up; with ``after``, once the work is done."""
        return self._rule(function, _EXIT_AFTER if after else _EXIT, status, first=nth, last=nth)

    def _rule(
        self,
        function: str,
        action: int,
        argument: int,
        *,
        first: int = 1,
        last: int = _ALWAYS,
        chance: float = 1.0,
        for_s: float | None = None,
    ) -> Fault:
        numbers, words = _numbers(), self._words
        places = range(numbers["RULES"], numbers["N_WORDS"], numbers["RULE_WORDS"])
        place = next(place for place in places if not words[place + _ACTIVE] and not words[place + _HOLDING])
        self._activations += 1
        fields = {
            _FUNCTION: _ANY_FUNCTION if function == "*" else functions().index(function),
            _ACTION: action,
            _ARGUMENT: argument,
            _FIRST: first,
            _LAST: last,
            _CHANCE: 0 if chance >= 1 else max(1, int(chance * 2**32)),
            _STATE: (self._seed * 1_000_003 + self._activations) & (2**64 - 1),
            _UNTIL: 0 if for_s is None else time.monotonic_ns() + int(for_s * _NS),
            _SEEN: 0,
            _HITS: 0,
        }
        for field, value in fields.items():
            words[place + field] = value
        words[place + _ACTIVE] = self._activations
        return Fault(words, place, self._activations)

    # --- settings ----------------------------------------------------------------------------------------------

    def heal(self) -> None:
        """Lift every rule and undo every setting. Counters, wrong PINs and cut links stay as they are."""
        numbers, words = _numbers(), self._words
        for place in range(numbers["RULES"], numbers["N_WORDS"], numbers["RULE_WORDS"]):
            words[place + _ACTIVE] = 0
        kept = {"W_MAGIC", "W_LINK_EPOCH", "W_TOKEN_EPOCH", "W_LOGOUT_EPOCH", "W_USER_WRONG", "W_SO_WRONG"}
        for name, number in numbers.items():
            if name.startswith("W_") and name not in kept and number < numbers["W_LOGINS"]:
                words[number] = 0
        words[numbers["W_IV_LEN"]] = 12
        self.forget_hidden_keys()

    def make_own_iv(self, mode: IvMode, *, iv_len: int = 12) -> None:
        """Let AES-GCM encryption take an IV of the token's own, and put it where ``mode`` says (``Profile.iv_rule``)."""
        self._set("W_IV_LEN", iv_len)
        self._set("W_IV_MODE", _IV_MODES[mode])

    def cap_sessions(self, most: int, *, told: int = 0) -> None:
        """Refuse sessions of a process beyond ``most`` (0: no cap); tell C_GetTokenInfo's reader ``told`` (0: as real)."""
        self._set("W_SESSION_CAP", most)
        self._set("W_TOLD_SESSION_CAP", told)

    def drop_idle_sessions(self, after_s: float) -> None:
        """Close sessions that were not used for so long, silently; 0 is never."""
        self._set("W_IDLE_NS", int(after_s * _NS))

    def change_slots(self, shift: int = 0) -> None:
        """Number the slots 0, 1, 2.. from the one with index ``shift`` on, whatever the real numbers are."""
        self._set("W_SLOT_SHIFT", shift)
        self._set("W_SLOTS_CHANGED", 1)

    def hide_new_keys(self, for_s: float) -> None:
        """Let keys made from now on be neither found nor usable for so long; their attributes can be read at once."""
        self._set("W_HIDE_NS", int(for_s * _NS))

    def forget_hidden_keys(self) -> None:
        """Show the keys that are hidden still."""
        for place in range(_numbers()["HIDDEN"], _numbers()["HIDDEN"] + 2 * _numbers()["N_HIDDEN"]):
            self._words[place] = 0

    def throttle(self, per_s: float, *, burst: int = 1, code: str | int = "CKR_FUNCTION_FAILED") -> None:
        """Refuse operations (not finds, sessions or attributes) beyond a rate; 0 ends it."""
        interval = int(_NS / per_s) if per_s else 0
        self._set("W_RATE_CODE", code_of(code))
        self._set("W_RATE_BURST_NS", interval * (burst - 1))
        self._set("W_RATE_INTERVAL_NS", interval)

    def cut_link(self, *, stays_down: bool = False) -> None:
        """Break every process' connection, as p11-kit's are: CKR_DEVICE_ERROR until C_Finalize and C_Initialize.

        ``stays_down``: C_Initialize fails too until ``restore_link``.
        """
        self._set("W_LINK_DOWN", int(stays_down))
        self._bump("W_LINK_EPOCH")

    def restore_link(self) -> None:
        """Let C_Initialize succeed again."""
        self._set("W_LINK_DOWN", 0)

    def lose_token(self, *, stays_away: bool = False) -> None:
        """Take the token out: not present until reinitialised; with ``stays_away`` until ``return_token`` and then that."""
        self._set("W_TOKEN_AWAY", int(stays_away))
        self._bump("W_TOKEN_EPOCH")

    def return_token(self) -> None:
        """Put it back. Who was initialised before does not see it."""
        self._set("W_TOKEN_AWAY", 0)

    def log_out(self) -> None:
        """Log every process out behind its back: CKR_USER_NOT_LOGGED_IN, and no private object found, until C_Login."""
        self._bump("W_LOGOUT_EPOCH")

    def count_pins(self, limit: int, *, user_wrong: int | None = None) -> None:
        """Lock the token after ``limit`` wrong PINs in a row, with the flags of C_GetTokenInfo; 0: as the real token."""
        if user_wrong is not None:
            self._set("W_USER_WRONG", user_wrong)
        self._set("W_PIN_LIMIT", limit)

    def protect_from_writes(self, *, on: bool = True) -> None:
        """Refuse to make, change or destroy token objects (CKR_TOKEN_WRITE_PROTECTED), as in a vendor's migration."""
        self._set("W_WRITE_PROTECTED", int(on))

    def refuse_read_only_sessions(self) -> None:
        """Answer CKR_FUNCTION_FAILED to C_OpenSession without CKF_RW_SESSION."""
        self._set("W_NO_READ_ONLY", 1)

    def limit_data(self, most: int) -> None:
        """Refuse more bytes than so many in one call that encrypts, decrypts, signs or hashes; 0 is no limit."""
        self._set("W_MAX_DATA", most)

    def refuse_attribute(self, attribute: int, code: str | int = "CKR_ATTRIBUTE_TYPE_INVALID") -> None:
        """Refuse templates that hold the attribute; 0 ends it."""
        self._set("W_REFUSED_CODE", code_of(code))
        self._set("W_REFUSED_ATTRIBUTE", attribute)

    def print_at_start(self) -> None:
        """Write a line to standard output in C_Initialize, as some vendors' modules do."""
        self._set("W_PRINTS", 1)

    def _set(self, name: str, value: int) -> None:
        self._words[_numbers()[name]] = value

    def _bump(self, name: str) -> None:
        self._words[_numbers()[name]] += 1

    # --- what was seen -----------------------------------------------------------------------------------------

    def calls(self, function: str | None = None) -> int:
        """How often a function was called, by all processes; without a name: all functions."""
        first = _numbers()["CALLS"]
        if function is None:
            return sum(self._words[first : first + len(functions())])
        return int(self._words[first + functions().index(function)])

    def count(self, counter: str) -> int:
        """A counter of shim_orders.h by its name without W_ in small letters: ``logins``, ``overlaps``, …"""
        return int(self._words[_numbers()[f"W_{counter.upper()}"]])

    @property
    def logins(self) -> int:
        """C_Login calls for the user."""
        return self.count("logins")

    @property
    def repeated_pins(self) -> int:
        """C_Login calls with a PIN that this token had refused before. It must stay 0."""
        return self.count("repeated_pins")

    @property
    def wrong_pins(self) -> int:
        """What the token's counter for the user stands at."""
        return self.count("user_wrong")

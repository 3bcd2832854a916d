"""Proving on the real token what its profile says, before anybody relies on it.

The self-test makes a throw-away root, wraps and unwraps under it, spoils the result, and destroys the root. It uses the
templates, the mechanisms and the code of real roots. A profile that does not fit shows here, with the name of the field
that is wrong, and not in the first call of a customer.
"""

import hmac
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, NamedTuple

import msgspec

from strongroom.core import (
    HsmError,
    HsmIntegrityError,
    MemberFailedError,
    RootId,
    WrapAlgorithm,
    WrappedBytes,
    random_bytes,
)
from strongroom.hsm.cryptoki import CryptokiError, MechanismType, Module, ModuleContractError
from strongroom.hsm.token._classification import Handling, handling_of
from strongroom.hsm.token._making import ObjectMaking
from strongroom.hsm.token._profile import WRAP_PREFERENCE, Profile
from strongroom.hsm.token._profile_fit import Changes, as_setting, find_fit
from strongroom.hsm.token._roots import RootMaker
from strongroom.hsm.token._work import Workshop
from strongroom.hsm.token._wrapping import Handles, UnexplainedError, Wrapping
from strongroom.hsm.token._wrappings import wrapping_for

_LABEL: Final = "strongroom self-test"
_AAD: Final = b"strongroom self-test v1"
_PROOF_BYTES: Final = 32
_FIELDS: Final = {
    WrapAlgorithm.HSM_AES_GCM: "iv_rule, iv_len or gcm_mechanism",
    WrapAlgorithm.HSM_AES_CBC_HMAC: "mac_key_gen or mac_key_type",
    WrapAlgorithm.HSM_RSA_OAEP: "oaep_hash",
}
_TRANSIENT: Final = frozenset(
    {
        Handling.NEW_SESSION,
        Handling.LOG_IN_AGAIN,
        Handling.REINITIALISE,
        Handling.BACK_OFF,
        Handling.PIN,
    }
)
"""Failures that say nothing about the profile."""


_CORRECT: Final = "correct these fields of the profile (profile_changes of the member), or take the profile that fits this token"


class LacksMechanismError(HsmError):
    """The token does not even offer what a wrap algorithm needs, so no other field of the profile would help."""


class WrapAbility(NamedTuple):
    """Whether a token can do a wrap algorithm, as it was tried on the token itself."""

    algorithm: WrapAlgorithm
    variant: str
    """What else members must agree on: the hash of HSM_RSA_OAEP; empty for the others."""
    missing: str | None
    """What it lacks, or how it failed; None when it can."""


class SelfTest:
    """Tries wrap algorithms on one token. Safe to use from any thread."""

    def __init__(self, module: Module, making: ObjectMaking, workshop: Workshop, *, profile: Profile) -> None:
        self._module = module
        self._making = making
        self._workshop = workshop
        self._profile = profile

    def prove(self, algorithm: WrapAlgorithm) -> None:
        """Generate, wrap, unwrap, compare, spoil, destroy.

        Raises HsmError that names the field of the profile and, where one change is found that fits, says which; and
        MemberFailedError when the token does not answer.
        """
        try:
            self._prove_once(self._profile, algorithm)
        except (MemberFailedError, LacksMechanismError):
            raise
        except HsmError as error:
            changes = find_fit(self._profile, algorithm, lambda tried: self._fits(tried, algorithm))
            if changes is None:
                raise
            raise HsmError(
                error.message, next_step=f"with this the token passes: {as_setting(changes)}"
            ) from error

    def _fits(self, changes: Changes, algorithm: WrapAlgorithm) -> bool:
        try:
            self._prove_once(msgspec.structs.replace(self._profile, **changes), algorithm)
        except HsmError:
            return False
        return True

    def _prove_once(self, profile: Profile, algorithm: WrapAlgorithm) -> None:
        wrapping = wrapping_for(self._module, profile, algorithm)
        maker = RootMaker(self._module, self._making, profile, algorithm)
        self._workshop.use(
            "the self-test",
            lambda session: self._prove(session, wrapping, maker, on_token=not profile.session_keys),
            new_session=True,
            blames_caller=True,
        )

    def abilities(self, *, until_first: bool) -> tuple[WrapAbility, ...]:
        """Try every algorithm that a cluster can have, the best first. Raises MemberFailedError as ``prove``.

        ``until_first`` ends with the first that works.
        """
        tried: list[WrapAbility] = []
        for algorithm in WRAP_PREFERENCE:
            tried.append(self._ability(algorithm))
            if until_first and tried[-1].missing is None:
                break
        return tuple(tried)

    def _ability(self, algorithm: WrapAlgorithm) -> WrapAbility:
        variant = self._profile.oaep_hash if algorithm is WrapAlgorithm.HSM_RSA_OAEP else ""
        try:
            self._prove_once(self._profile, algorithm)
        except MemberFailedError:
            raise
        except HsmError as error:
            return WrapAbility(algorithm, variant, error.message)
        return WrapAbility(algorithm, variant, None)

    def _prove(self, session: int, wrapping: Wrapping, maker: RootMaker, *, on_token: bool) -> None:
        self._require_mechanisms(session, wrapping)
        algorithm = wrapping.algorithm
        with ExitStack() as undo:
            with _blaming(algorithm, "making a root", "unknown_attributes, replication or session_keys"):
                handles = maker.generate(session, RootId(random_bytes(16)), _LABEL, on_token=on_token)
            undo.callback(self._destroy, session, handles)
            proof = random_bytes(min(_PROOF_BYTES, wrapping.max_key_bytes))
            with _blaming(algorithm, "wrapping", _FIELDS[algorithm]):
                wrapped = wrapping.encrypt(session, handles, proof, _AAD)
                wrapping.check(wrapped)
            with _blaming(algorithm, "unwrapping", _FIELDS[algorithm]):
                opened = wrapping.decrypt(session, handles, wrapped, _AAD)
            if not hmac.compare_digest(opened, proof):
                raise _unfit(algorithm, "it unwraps something else than it wrapped", _FIELDS[algorithm])
            with _blaming(algorithm, "making a check value", "wrap_algorithm"):
                maker.check_value(session, handles)
            self._refuses(session, wrapping, handles, _spoilt(wrapped), _AAD)
            self._refuses(session, wrapping, handles, wrapped, _AAD + b" of another key")

    def _require_mechanisms(self, session: int, wrapping: Wrapping) -> None:
        offered = self._module.mechanisms(self._module.session_info(session).slot)
        lacking = [_name(number) for number in wrapping.mechanisms if number not in offered]
        if lacking:
            what = f"the token does not offer {', '.join(lacking)}"
            raise LacksMechanismError(
                _message(wrapping.algorithm, what, "wrap_algorithm"), next_step=_CORRECT
            )

    def _refuses(
        self, session: int, wrapping: Wrapping, handles: Handles, wrapped: WrappedBytes, aad: bytes
    ) -> None:
        """Spoilt bytes must be refused, and in the way that the profile says."""
        algorithm = wrapping.algorithm
        try:
            wrapping.decrypt(session, handles, wrapped, aad)
        except (HsmIntegrityError, UnexplainedError):
            return
        except CryptokiError as error:
            # A code that stands for a failure of the token: spoilt data would take one member after the other out.
            if handling_of(error) in {Handling.UNSURE, Handling.BACK_OFF}:
                what = f"it refuses spoilt data by {error.ckr_name}"
                raise _unfit(algorithm, what, "general_error_is_bad_tag") from error
            raise
        raise _unfit(algorithm, "it takes data that was changed", "wrap_algorithm")

    def _destroy(self, session: int, handles: Handles) -> None:
        for handle in handles:
            self._module.destroy_object(session, handle)


@contextmanager
def _blaming(algorithm: WrapAlgorithm, step: str, fields: str) -> Iterator[None]:
    """Turn what a misfit of profile and token raises into an error that names the fields to look at."""
    try:
        yield
    except MemberFailedError:
        raise
    except CryptokiError as error:
        if handling_of(error) in _TRANSIENT and not isinstance(error, ModuleContractError):
            raise
        raise _unfit(algorithm, f"{step}: {error.message}", fields) from error
    except UnexplainedError as error:
        raise _unfit(algorithm, f"{step}: CKR_GENERAL_ERROR", fields) from error
    except HsmError as error:
        raise _unfit(algorithm, f"{step}: {error.message}", fields) from error


def _unfit(algorithm: WrapAlgorithm, what: str, fields: str) -> HsmError:
    return HsmError(_message(algorithm, what, fields), next_step=_CORRECT)


def _message(algorithm: WrapAlgorithm, what: str, fields: str) -> str:
    return f"the self-test of {algorithm.name} failed: {what} (profile: {fields})"


def _spoilt(wrapped: WrappedBytes) -> WrappedBytes:
    """Change one bit of the tag, or of the ciphertext where there is none."""
    if wrapped.tag:
        return wrapped._replace(tag=bytes((wrapped.tag[0] ^ 1,)) + wrapped.tag[1:])
    middle = len(wrapped.ciphertext) // 2
    changed = bytearray(wrapped.ciphertext)
    changed[middle] ^= 1
    return wrapped._replace(ciphertext=bytes(changed))


def _name(number: int) -> str:
    known = number in set(MechanismType)
    return f"CKM_{MechanismType(number).name}" if known else f"mechanism 0x{number:08x}"

"""Splitting a secret into shares, and making it of them again (SLIP-0039).

A polynomial of degree ``threshold - 1`` runs through the secret, through a digest of it and through all shares. The digest tells
whether shares made the secret that was split; it tells nothing of the passphrase.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.core import Secret, random_bytes
from strongroom.shares._cipher import decrypt, encrypt
from strongroom.shares._errors import (
    DuplicateShareError,
    ForeignShareError,
    SharePlanError,
    TooFewSharesError,
    TooManyIterationsError,
    WrongSharesError,
)
from strongroom.shares._field import MAX_VALUE_BYTES, interpolate
from strongroom.shares._share import MAX_SHARES, MIN_VALUE_BYTES, SetParameters, Share

ITERATION_EXPONENT: Final = 1
"""Of shares that ``split`` makes."""
_MAX_EXPONENT: Final = 5
"""About a second. The standard knows 15, which is minutes of computing for whoever is given a forged share."""
_SECRET_AT: Final = 255
_DIGEST_AT: Final = 254
_DIGEST_BYTES: Final = 4
_COMMON: Final[Mapping[str, str]] = {
    "set_identifier": "it begins with other words",
    "is_extendable": "it is encrypted under its passphrase in another way",
    "iteration_exponent": "its number of iterations is another one",
    "group_threshold": "it says that another number of groups is needed",
    "group_count": "it says that there is another number of groups",
}
"""What all shares of a set have in common, and what is said of one that has something else."""


@dataclass(frozen=True, slots=True)
class SharePlan:
    """``threshold`` of ``count`` shares are needed."""

    threshold: int
    count: int


def split(secret: Secret, plan: SharePlan, *, passphrase: bytes = b"") -> tuple[Share, ...]:
    """Split a secret into ``count`` shares, any ``threshold`` of which make it again.

    One fewer leaves all but 32 bits of it unknown, since its digest is shared with it; still fewer tell nothing.

    2 ≤ threshold ≤ count ≤ 16; the secret has 16 to 64 bytes, an even number; the passphrase printable ASCII. Raises SharePlanError.
    """
    if plan.threshold < 2:
        raise SharePlanError(
            "two shares or more are needed: a threshold of 1 would give the secret to everybody"
        )
    return split_groups(secret, 1, (plan,), passphrase=passphrase)[0]


def split_groups(
    secret: Secret,
    group_threshold: int,
    groups: Sequence[SharePlan],
    *,
    passphrase: bytes = b"",
    iteration_exponent: int = ITERATION_EXPONENT,
) -> tuple[tuple[Share, ...], ...]:
    """Split a secret in two levels: ``group_threshold`` groups are needed, and of each as many shares as its plan says.

    Up to 16 groups; a plan may be 1 of 1. The exponent, 0 to 5, makes 10,000 iterations (0) of what slows the guessing of
    passphrases, doubled by each step. Raises SharePlanError.
    """
    _check(secret, group_threshold, groups, passphrase, iteration_exponent)
    identifier = int.from_bytes(random_bytes(2), "big") >> 1
    parameters = SetParameters(identifier, True, iteration_exponent, group_threshold, len(groups))
    encrypted = encrypt(secret.reveal(), passphrase, salt=_salt(parameters), exponent=iteration_exponent)
    of_groups = _split(encrypted, group_threshold, len(groups))
    return tuple(
        tuple(
            Share(
                identifier,
                index,
                plan.threshold,
                Secret(value),
                iteration_exponent,
                group_index=group_index,
                group_threshold=group_threshold,
                group_count=len(groups),
            )
            for index, value in enumerate(_split(of_group, plan.threshold, plan.count), start=1)
        )
        for group_index, (of_group, plan) in enumerate(zip(of_groups, groups, strict=True), start=1)
    )


def combine(shares: Sequence[Share], *, passphrase: bytes = b"") -> Secret:
    """Make the secret of its shares again. More than are needed may be given: then all of them must fit.

    Another passphrase than that of ``split`` makes another secret, and nothing here can tell: compare what is known of the right one,
    such as a check value. Raises TooFewSharesError, DuplicateShareError, ForeignShareError, WrongSharesError, and
    TooManyIterationsError for an exponent above 5.
    """
    if not shares:
        raise TooFewSharesError(0, 2)
    for name, what in _COMMON.items():
        _refuse_foreign([getattr(share.set_parameters, name) for share in shares], what)
    _refuse_foreign([len(share.value) for share in shares], "its secret has another length")
    groups = _by_group(shares)
    parameters = shares[0].set_parameters
    if parameters.iteration_exponent > _MAX_EXPONENT:
        raise TooManyIterationsError(parameters.iteration_exponent, _MAX_EXPONENT)
    whole = {number: members for number, members in groups.items() if len(members) >= members[0].threshold}
    if len(whole) < parameters.group_threshold:
        raise _too_few(groups, parameters)
    values = {number - 1: _joined(members) for number, members in whole.items()}
    encrypted = _recovered(values, parameters.group_threshold, len(shares[0].value))
    return Secret(
        decrypt(encrypted, passphrase, salt=_salt(parameters), exponent=parameters.iteration_exponent)
    )


def _check(
    secret: Secret, group_threshold: int, groups: Sequence[SharePlan], passphrase: bytes, exponent: int
) -> None:
    if not MIN_VALUE_BYTES <= len(secret) <= MAX_VALUE_BYTES or len(secret) % 2:
        raise SharePlanError(f"a secret of {len(secret)} bytes cannot be shared: 16 to 64, an even number")
    if not 1 <= group_threshold <= len(groups) <= MAX_SHARES:
        raise SharePlanError(
            f"{group_threshold} of {len(groups)} groups: there are up to {MAX_SHARES}, at least 1 needed"
        )
    for plan in groups:
        if not 1 <= plan.threshold <= plan.count <= MAX_SHARES or plan.threshold == 1 < plan.count:
            raise SharePlanError(
                f"{plan.threshold} of {plan.count} shares: there are up to {MAX_SHARES}, at least 2 needed unless there is one"
            )
    if not all(32 <= char <= 126 for char in passphrase):
        raise SharePlanError("a passphrase of shares is of printable ASCII, which every keyboard has")
    if not 0 <= exponent <= _MAX_EXPONENT:
        raise SharePlanError(f"an exponent of iterations is 0 to {_MAX_EXPONENT}, not {exponent}")


def _salt(parameters: SetParameters) -> bytes:
    return b"" if parameters.is_extendable else b"shamir" + parameters.set_identifier.to_bytes(2, "big")


def _digest(shared: bytes, key: bytes) -> bytes:
    return hmac.digest(key, shared, "sha256")[:_DIGEST_BYTES]


def _split(shared: bytes, threshold: int, count: int) -> list[bytes]:
    if threshold == 1:
        return [shared] * count
    n_bytes = len(shared)
    points = {x: int.from_bytes(random_bytes(n_bytes), "big") for x in range(threshold - 2)}
    key = random_bytes(n_bytes - _DIGEST_BYTES)
    points[_DIGEST_AT] = int.from_bytes(_digest(shared, key) + key, "big")
    points[_SECRET_AT] = int.from_bytes(shared, "big")
    values = [points[x] if x in points else interpolate(points, x) for x in range(count)]
    return [value.to_bytes(n_bytes, "big") for value in values]


def _recovered(values: Mapping[int, int], threshold: int, n_bytes: int) -> bytes:
    """Return what was split, of the values at their places. All must be on the polynomial. Raises WrongSharesError."""
    if threshold == 1:
        first, *others = values.values()
        if any(other != first for other in others):
            raise WrongSharesError
        return first.to_bytes(n_bytes, "big")
    shared = interpolate(values, _SECRET_AT).to_bytes(n_bytes, "big")
    checked = interpolate(values, _DIGEST_AT).to_bytes(n_bytes, "big")
    if not hmac.compare_digest(_digest(shared, checked[_DIGEST_BYTES:]), checked[:_DIGEST_BYTES]):
        raise WrongSharesError
    return shared


def _joined(members: Sequence[Share]) -> int:
    values = {share.index - 1: int.from_bytes(share.value.reveal(), "big") for share in members}
    return int.from_bytes(_recovered(values, members[0].threshold, len(members[0].value)), "big")


def _by_group(shares: Sequence[Share]) -> dict[int, list[Share]]:
    """Sort shares by group. Raises ForeignShareError and DuplicateShareError."""
    groups: dict[int, list[Share]] = {}
    seen: dict[tuple[int, int], int] = {}
    thresholds: dict[int, int] = {}
    for position, share in enumerate(shares, start=1):
        if thresholds.setdefault(share.group_index, share.threshold) != share.threshold:
            raise ForeignShareError((position,), f"it says that {share.threshold} shares are needed")
        first = seen.setdefault((share.group_index, share.index), position)
        if first != position:
            is_same = share.value.matches(shares[first - 1].value)
            raise DuplicateShareError(share.index, (first, position), is_same=is_same)
        groups.setdefault(share.group_index, []).append(share)
    return groups


def _refuse_foreign(of_each: Sequence[object], what: str) -> None:
    usual = max(of_each, key=of_each.count)
    others = tuple(position for position, one in enumerate(of_each, start=1) if one != usual)
    if others:
        raise ForeignShareError(others, what)


def _too_few(groups: Mapping[int, Sequence[Share]], parameters: SetParameters) -> TooFewSharesError:
    if parameters.group_count == 1:
        (members,) = groups.values()
        return TooFewSharesError(len(members), members[0].threshold)
    whole = sum(len(members) >= members[0].threshold for members in groups.values())
    return TooFewSharesError(whole, parameters.group_threshold, of="complete groups")

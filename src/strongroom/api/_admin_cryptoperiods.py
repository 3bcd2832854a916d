"""Routes of the admin API about how long keys protect, and from when on."""

from typing import Annotated

from msgspec import Meta

from strongroom.api._admin import AdminAnswer, AdminCall, AdminMembers, AdminRoute
from strongroom.api._arns import Arns
from strongroom.keyring import MAX_PERIOD_DAYS, MAX_USES, Cryptoperiod

_ERRORS = ("NotFoundException", "KMSInvalidStateException")


class CryptoperiodMembers(AdminMembers, frozen=True, rename="camel"):
    """How long and how often one version of a key may protect something; 0, as when it is left out: without limit."""

    days: Annotated[int, Meta(ge=0, le=MAX_PERIOD_DAYS)] = 0
    max_uses: Annotated[int, Meta(ge=0, le=MAX_USES)] = 0


class ActivationMembers(AdminMembers, frozen=True, rename="camel"):
    """From when on a key does what it is for."""

    at: Annotated[float, Meta(gt=0, lt=1e11)] | None = None
    """Seconds since the Unix epoch; null: from now on."""


class CryptoperiodAnswer(AdminAnswer, frozen=True, rename="camel"):
    """What limits the current version of a key."""

    key_id: str
    """ARN."""
    days: int
    ends_at: float | None
    """Seconds since the Unix epoch, as every time here."""
    max_uses: int
    n_taken: int
    """Uses that processes of the service have taken so far, whether they made them or not."""
    activate_at: float | None
    is_made_anew: bool
    """Whether a new version follows by itself; else the key protects nothing more."""


def cryptoperiod_answer(period: Cryptoperiod, arns: Arns) -> CryptoperiodAnswer:
    """Return what limits a key as answers have it."""
    return CryptoperiodAnswer(arns.key(period.key_id), *period[1:])


async def _set_cryptoperiod(call: AdminCall) -> CryptoperiodAnswer:
    period = await call.service.set_cryptoperiod(
        call.caller, call.path["keyId"], days=call.body.days, max_uses=call.body.max_uses
    )
    return cryptoperiod_answer(period, call.arns)


async def _set_activation_date(call: AdminCall) -> CryptoperiodAnswer:
    period = await call.service.set_activation_date(call.caller, call.path["keyId"], at=call.body.at)
    return cryptoperiod_answer(period, call.arns)


CRYPTOPERIOD_ROUTES = (
    AdminRoute(
        method="POST",
        path="keys/{keyId}/cryptoperiod",
        operation="SetCryptoperiod",
        verbs=("SetCryptoperiod",),
        summary="Limit how long and how often each version of a key protects; afterwards it is rotated, or protects nothing more.",
        call=_set_cryptoperiod,
        request=CryptoperiodMembers,
        answer=CryptoperiodAnswer,
        errors=_ERRORS,
    ),
    AdminRoute(
        method="POST",
        path="keys/{keyId}/activation",
        operation="SetActivationDate",
        verbs=("SetActivationDate",),
        summary="Let a key that was never used do nothing before a date.",
        call=_set_activation_date,
        request=ActivationMembers,
        answer=CryptoperiodAnswer,
        errors=_ERRORS,
    ),
)

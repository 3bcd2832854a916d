"""The duties of a custodian, in words: what they sign."""

from typing import Final

from strongroom.wiring.custodian_documents import Duty

_DUTIES: Final = (
    "I keep my share where only I can get at it, in the place that I named, and make no copy of it.",
    "I show, read out, send or lend it to nobody: to no colleague, to no superior, to nobody who says that it is urgent.",
    "I use it only in a ceremony that has a script and witnesses, or, on a machine of my own, to answer a challenge that asks whether I still have it.",
    "I never let it be together with the share of another custodian outside of such a ceremony.",
    "I answer each challenge within the time that it names.",
    "I say so at once when it is lost or damaged, when somebody else may have seen it, when I take it to another place, and before I change my work or leave.",
    "I hand it in or destroy it in front of a witness when I am asked to, and keep nothing of it.",
    "I have understood what this share can open, and I accept these duties.",
)
"""PCI DSS v4.0.1, 3.7.8: custodians acknowledge, in writing or electronically, that they understand and accept their duties."""


def duty_of(*, set_id: bytes, custodian: str, name: str, share: int, threshold: int, count: int) -> Duty:
    """Return the duties of a custodian of one share of a set."""
    return Duty(
        type="strongroom-custodian-duty-v1",
        set=set_id.hex(),
        custodian=custodian,
        name=name,
        share=share,
        threshold=threshold,
        count=count,
        duties=_DUTIES,
    )


def duty_in_words(duty: Duty) -> list[str]:
    """Return a duty as lines for people: everything that is signed, whole."""
    lines = [
        f"I, {duty.name} ({duty.custodian}), am the custodian of share {duty.share} of {duty.count} of the backup set",
        f"  {duty.set}",
        f"Any {duty.threshold} of these shares together open the backups of the keys that are kept under it.",
        "",
    ]
    return [*lines, *(f"  {number}. {text}" for number, text in enumerate(duty.duties, start=1))]

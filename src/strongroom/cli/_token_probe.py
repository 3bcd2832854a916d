"""A process that loads one PKCS#11 module and says which initialised tokens it shows, without logging in.

    python -m strongroom.cli._token_probe

Asked a ``ProbeQuestion``, it says a ``ProbeAnswer``.
"""

import msgspec

from strongroom.core import StrongroomError
from strongroom.wiring.asked_process import answer_one


class ProbeQuestion(msgspec.Struct, frozen=True):
    """What to load."""

    profile: str
    module: str | None
    """Path; None for the first that the profile names."""
    profile_changes: dict[str, str | int | float | bool | list[str]] = {}
    library_parameters: str | None = None


class FoundToken(msgspec.Struct, frozen=True):
    """One initialised token."""

    serial: str
    label: str
    flags: list[str] = []
    """Names of its CKF_ flags."""


class ProbeAnswer(msgspec.Struct, frozen=True):
    """What was found, or why nothing was."""

    module: str = ""
    tokens: list[FoundToken] = []
    warning: str | None = None
    """What the profile says about the standard of the validation (``Profile.standard_warning``)."""
    pin_form: str = "password"
    """What C_Login takes there (``Profile.pin_form``)."""
    is_tested: bool = True
    """Whether the conformance tests run on such tokens."""
    failure: str | None = None
    next_step: str | None = None


def look(question: ProbeQuestion) -> ProbeAnswer:
    """Load the module and list its tokens."""
    from strongroom.hsm.cryptoki import Module, TokenFlag
    from strongroom.hsm.token import load_profile

    try:
        profile = load_profile(question.profile, question.profile_changes)
        path = question.module or profile.find_module()
        module = Module.load(path, library_parameters=question.library_parameters)
        infos = [module.token_info(slot) for slot in module.slots(with_token=True)]
    except StrongroomError as error:
        return ProbeAnswer(failure=error.message, next_step=error.next_step)
    tokens = [
        FoundToken(
            info.serial, info.label, [flag.name for flag in TokenFlag if flag in info.flags and flag.name]
        )
        for info in infos
        if TokenFlag.TOKEN_INITIALIZED in info.flags
    ]
    return ProbeAnswer(
        path,
        tokens,
        warning=profile.standard_warning,
        pin_form=profile.pin_form,
        is_tested=profile.evidence == "tested",
    )


def main() -> None:
    """Answer one question."""
    answer_one(ProbeQuestion, look)


if __name__ == "__main__":
    main()

"""Checks of ``doctor`` that look at the members: profile, PKCS#11 module, token. Nobody logs in.

A module is loaded by a process of its own (``_token_probe``): one that hangs or crashes takes that with it.
"""

from collections.abc import Iterator

from strongroom.cli._checks import Finding
from strongroom.cli._checks_duties import check_duties
from strongroom.cli._checks_hsm_log import check_hsm_log
from strongroom.cli._token_probe import ProbeAnswer, ProbeQuestion
from strongroom.config import Home, MemberConfig, softhsm_module, worker_environment
from strongroom.wiring.asked_process import AskedProcessError, ask_process

_LIMIT_S = 20.0
_PROBE_PROGRAM = "strongroom.cli._token_probe"


def check_member(
    home: Home, member: MemberConfig, *, recorded_serial: str | None = None
) -> Iterator[Finding]:
    """Load the module as a worker would, look for exactly one token that fits, and at what it shows of its users.

    ``recorded_serial``: of the token that the database has for this member; None where it has none.
    """
    name = f"member {member.name}"
    try:
        answer = _ask(home, member)
    except AskedProcessError as error:
        yield Finding(name, "fail", error.message, "test the module with the vendor's tools")
        return
    if answer.failure is not None:
        yield Finding(name, "fail", answer.failure, answer.next_step or "check the member in strongroom.toml")
        return
    wanted = member.token_serial or member.token_label
    fitting = [token for token in answer.tokens if wanted in {token.serial, token.label}]
    yield from check_hsm_log(home, member)
    yield from _said_of_profile(name, member, answer)
    if len(fitting) == 1:
        token = fitting[0]
        yield Finding(name, "ok", f"{answer.module} shows token {token.label!r} (serial {token.serial})")
        yield from check_duties(
            home, member, token, pin_form=answer.pin_form, recorded_serial=recorded_serial
        )
        return
    shown = ", ".join(f"{token.label!r} (serial {token.serial})" for token in answer.tokens) or "none"
    what = "serial" if member.token_serial else "label"
    yield Finding(
        name,
        "fail",
        f"{answer.module} shows {len(fitting) or 'no'} tokens with the {what} {wanted!r}; it shows: {shown}",
        "start the service: it repairs a SoftHSM token whose file was cut off"
        if member.profile == "softhsm2"
        else "check the connection to the HSM and the vendor's configuration",
    )


def _said_of_profile(name: str, member: MemberConfig, answer: ProbeAnswer) -> Iterator[Finding]:
    if answer.warning is not None:
        yield Finding(
            name,
            "warn",
            answer.warning,
            "look the module's certificate up in the list of CMVP, and plan its successor",
        )
    if not answer.is_tested:
        yield Finding(
            name,
            "note",
            f"the profile {member.profile} was made from the vendor's documents and not tried on such an HSM",
            "a worker proves it on the token before it serves; correct what differs by profile_changes",
        )


def _ask(home: Home, member: MemberConfig) -> ProbeAnswer:
    """Run the probe. Raises AskedProcessError when it gives no answer."""
    from strongroom.wiring.workers import member_environment

    module = member.module or (softhsm_module() if member.profile == "softhsm2" else None)
    parameters = member.library_parameters
    question = ProbeQuestion(
        profile=member.profile,
        module=module,
        profile_changes=member.profile_changes,
        library_parameters=None if parameters is None else parameters.replace("{home}", str(home.root)),
    )
    return ask_process(
        _PROBE_PROGRAM,
        question,
        ProbeAnswer,
        library="the PKCS#11 module",
        limit_s=_LIMIT_S,
        env=worker_environment(member_environment(member, home)),
    )

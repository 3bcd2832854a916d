"""``strongroom keys policy-check``: how a request would be decided, and by which statement, role or grant."""

from collections.abc import Mapping

import click

from strongroom.cli._context_option import context_option
from strongroom.cli._output import Output, visible
from strongroom.cli._reporting import reporting
from strongroom.config import Home, home_from_environment, load_config


@click.command("policy-check")
@click.argument("key")
@click.option("--principal", required=True, metavar="NAME", help="Who asks: user/NAME.")
@click.option(
    "--action", required=True, metavar="NAME", help="What for: Encrypt, ReEncryptTo, PutKeyPolicy …"
)
@click.option(
    "--access-key",
    default="",
    metavar="ID",
    help="With this access key; else with each that the principal has.",
)
@context_option("Encryption context of the request")
@click.option("--source-address", default="", metavar="IP", help="Where the request comes from.")
@reporting
def policy_check(
    output: Output,
    *,
    key: str,
    principal: str,
    action: str,
    access_key: str,
    context: Mapping[str, str],
    source_address: str,
) -> None:
    """Tell whether a request would be allowed, and what decides it. KEY is a key id, an alias or the ARN of either.

    Nothing is done. The answer is by the policies, grants, roles and configuration of this home as they are now.
    """
    from strongroom.wiring.policy_check import Case, Checked, check_policy_of

    home = Home(home_from_environment())
    case = Case(key, principal, action.removeprefix("kms:"), access_key, context, source_address)
    checked = check_policy_of(home, load_config(home.root), case)

    def document(one: Checked) -> dict[str, object]:
        answer = one.decision.answer
        return {
            "access_key_id": one.access_key_id,
            "roles": list(one.roles),
            "why": one.why,
            "is_allowed": one.decision.is_allowed,
            "ground": one.decision.ground.name.lower(),
            "because": one.decision.ground.value,
            "policy_says": None if answer is None else answer.says.value,
            "statement": None if answer is None or not answer.number else answer.number,
            "sid": None if answer is None else answer.sid or None,
            "grant_id": one.decision.grant_id or None,
        }

    output.document({"decisions": [document(one) for one in checked]})
    for one in checked:
        verdict = "allowed" if one.decision.is_allowed else "DENIED"
        output.say(f"{visible(one.access_key_id)} ({visible(' '.join(one.roles)) or 'no roles'}): {verdict}")
        output.say(f"  because {one.decision.ground.value}")
        if one.why:
            output.say(f"  roles: {visible(one.why)}")
        answer = one.decision.answer
        if answer is not None:
            named = f", statement {answer.number}" if answer.number else ""
            sid = f" ({visible(answer.sid)})" if answer.sid else ""
            output.say(f"  the key's policy says: {answer.says.value}{named}{sid}")
        if one.decision.grant_id:
            output.say(f"  grant {one.decision.grant_id}")

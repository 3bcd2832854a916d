"""``strongroom env``: the shell lines that point AWS clients at the development service."""

import shlex
from collections.abc import Mapping

import click

from strongroom.cli._endpoint import complete_home
from strongroom.cli._output import Output
from strongroom.cli._reporting import reporting
from strongroom.client import AccessKey, Endpoint, development_access_key, home_endpoint
from strongroom.config import client_environment, load_config

_REGION = "us-east-1"


@click.command
@click.option(
    "--shell",
    type=click.Choice(["sh", "fish", "json"]),
    default="sh",
    show_default=True,
    help="Whose syntax to print.",
)
@reporting
def env(output: Output, *, shell: str) -> None:
    """Print what points every AWS client at the development service: endpoint, access key, region, CA.

    Use it as:  eval "$(strongroom env)"   or, in fish:  strongroom env --shell fish | source

    It prints a secret: the development secret access key.
    """
    home = complete_home()
    endpoint = home_endpoint(home, load_config(home.root))
    variables = _variables(endpoint, development_access_key(home))
    has_session_token = client_environment().has_session_token
    if output.is_json or shell == "json":
        Output(is_json=True).document(variables)
    elif shell == "fish":
        output.say(*(f"set -gx {name} {_quote_fish(value)}" for name, value in variables.items()))
        output.say(*["set -e AWS_SESSION_TOKEN"] * has_session_token)
    else:
        output.say(*(f"export {name}={shlex.quote(value)}" for name, value in variables.items()))
        output.say(*["unset AWS_SESSION_TOKEN"] * has_session_token)


def _variables(endpoint: Endpoint, key: AccessKey) -> Mapping[str, str]:
    variables = {
        "AWS_ENDPOINT_URL": endpoint.url,
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret.reveal().decode(),
        "AWS_DEFAULT_REGION": _REGION,
    }
    if endpoint.ca_file is not None:
        variables["AWS_CA_BUNDLE"] = variables["NODE_EXTRA_CA_CERTS"] = str(endpoint.ca_file)
    return variables


def _quote_fish(text: str) -> str:
    r"""Quote for fish, where \\ and \' are escapes within single quotes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

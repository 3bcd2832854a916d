"""What holds for every command: options, help, documentation, exit statuses, quick start."""

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cli_support import run
from strongroom.cli import root_command
from strongroom.cli._main import COMMANDS

ROOT = Path(__file__).parents[3]
DOCS = (ROOT / "docs" / "cli.md").read_text()


def _leaves(group=root_command, names=COMMANDS, prefix=""):
    context = click.Context(root_command)
    for name in names:
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _leaves(command, command.list_commands(context), f"{prefix}{name} ")
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{prefix}{name}", command


LEAVES = dict(_leaves())


def test_the_commands_of_the_design_are_there():
    assert set(LEAVES) == {
        "init", "serve", "env", "status", "members list", "members test", "members reconcile", "members add", *(f"root {name}" for name in ("rotate", "status", "rate", "retire")), "keys list", "keys create", "keys show", "keys policy-check", "keys compromise", "keys outstanding", "keys cryptoperiod", "keys activate", "keys versions", "keys retire-version", "keys inventory", "keys move", *(f"domains {name}" for name in ("list", "create", "show", "rotate")), *(f"principals {name}" for name in ("list", "create", "rotate", "disable", "enable", "roles", "delete")), "encrypt", "decrypt", "demo", "rewrap lines", "rewrap table",
        "bench", "bench hsm", "doctor", *(f"audit {name}" for name in ("tail", "search", "verify", "prove", "growth", "keys", "sinks", "archive", "prune")), *(f"officers {name}" for name in ("keygen", "keys", "enrol", "enrolment", "list", "add", "revoke", "add-key", "revoke-key", "roles")), *(f"officers genesis {name}" for name in ("rules", "new", "show", "sign", "assemble", "verify")),
        *(f"audit report {name}" for name in ("pci", "access", "unused", "failed-auth")),
        *(f"audit witness {name}" for name in ("init", "serve", "show", "status")),
        *(f"audit hsm {name}" for name in ("import", "compare", "list")),
        *(f"approvals {name}" for name in ("list", "request", "show", "sign", "reject", "evidence", "verify")), *(f"approvals rules {name}" for name in ("show", "set", "remove")),
        *(f"ceremony {name}" for name in ("new", "rehearse", "run", "sign", "verify", "show", "list", "print")),
        *(f"pin {name}" for name in ("rotate", "status", "seal", "retry", "open")),
        *(f"backup {name}" for name in ("create", "list", "verify", "print", "restore", "record-vendor")),
        *(f"share {name}" for name in ("check", "open", "prove")),
        *(f"custodians {name}" for name in ("list", "report", "old-sets", "challenge", "record-proof", "duty", "sign", "acknowledge", "left", "destroyed")),
    }  # fmt: skip


@pytest.mark.parametrize("name", LEAVES)
def test_a_command_takes_json_and_verbose_and_explains_itself(name):
    options = {option for parameter in LEAVES[name].params for option in parameter.opts}
    assert {"--json", "--verbose"} <= options
    result = run(*name.split(), "--help")
    assert result.exit_code == 0
    assert LEAVES[name].help
    assert all(parameter.help for parameter in LEAVES[name].params if isinstance(parameter, click.Option))


@pytest.mark.parametrize("name", LEAVES)
def test_a_command_has_a_section_in_the_docs_that_names_its_options(name):
    sections = dict(re.findall(r"(?ms)^## strongroom ([a-z -]+)$(.*?)(?=^## |\Z)", DOCS))
    assert name in sections
    assert f"    strongroom {name}" in sections[name] or name == "env"  # env is shown as it is used
    for parameter in LEAVES[name].params:
        if isinstance(parameter, click.Option) and not {"--json", "--verbose"} & set(parameter.opts):
            assert any(option in sections[name] for option in parameter.opts), parameter.name


def test_the_docs_describe_no_command_that_is_not_there():
    assert set(re.findall(r"(?m)^## strongroom ([a-z -]+)$", DOCS)) == set(LEAVES)


def test_every_exit_status_is_documented():
    table = DOCS[DOCS.index("| Exit status |") :]
    assert re.findall(r"(?m)^\| (\d+) \|", table) == ["0", "1", "2", "3", "130"]


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["status", "--nonsense"], ["keys", "show"], ["audit", "tail", "-n", "0"]]
)
def test_wrong_usage_ends_with_2(arguments):
    assert run(*arguments).exit_code == 2


def _python(program, *, flags=()):
    return subprocess.run(
        [sys.executable, "-W", "ignore", *flags, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["status", "--help"], ["keys", "list", "--help"], ["encrypt", "--help"]],
)
def test_help_imports_nothing_that_is_slow(arguments):
    program = (
        "import json, sys\nfrom strongroom.cli import root_command\n"
        f"try:\n    root_command({arguments!r}, prog_name='strongroom')\n"
        "except SystemExit:\n    pass\n"
        "print('\\n' + json.dumps(sorted(sys.modules)))"
    )
    loaded = set(json.loads(_python(program).splitlines()[-1]))
    slow = {
        "sqlalchemy",
        "alembic",
        "cryptography",
        "uvicorn",
        "uvloop",
        "httptools",
        "cffi",
        "structlog",
        "rich",
    }
    assert loaded & slow == set()
    if arguments == ["--help"]:
        assert loaded & {"asyncio", "msgspec", "ssl", "http.client"} == set()


def test_the_module_is_the_same_program_as_the_script():
    command = [sys.executable, "-m", "strongroom", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == run("--version").stdout


def test_the_list_of_commands_shows_every_command():
    shown = run("--help").stdout
    assert all(re.search(rf"(?m)^  {name} +\S", shown) for name in COMMANDS)

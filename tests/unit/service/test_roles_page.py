"""The tables that docs/authorisation.md shows are those that the service decides by."""

from role_requests import COMMANDS, every_request
from roles_page import PAGE, with_tables
from strongroom.core import RoleName
from strongroom.service import FOR_EVERYBODY, ROLES_FOR, Role


def test_the_page_has_the_tables_of_the_code():
    text = PAGE.read_text()
    assert text == with_tables(text), "run: PYTHONPATH=src:tests python tests/roles_page.py"


def test_every_verb_has_a_door_and_every_door_a_verb():
    behind = {verb for request in every_request() for verb in request.verbs}
    assert ROLES_FOR.keys() | FOR_EVERYBODY == behind | {"GetCallerIdentity"}
    assert {verb for command in COMMANDS for verb in command.verbs} <= behind


def test_the_roles_of_the_service_are_those_of_the_configuration():
    assert set(map(str, Role)) == set(RoleName.__args__)


def test_no_role_that_manages_keys_uses_them_and_those_who_watch_do_neither():
    using = {verb for verb, roles in ROLES_FOR.items() if Role.CRYPTO_USER in roles}
    managing = {verb for verb, roles in ROLES_FOR.items() if roles == {Role.CRYPTO_OFFICER}}
    opening = {
        "Decrypt",
        "Encrypt",
        "Sign",
        "GenerateMac",
        "DeriveSharedSecret",
        "ReEncryptFrom",
        "GenerateDataKey",
    }
    assert opening <= using
    for verb in opening | managing:
        assert not ROLES_FOR[verb] & {
            Role.AUDITOR,
            Role.SECURITY_OFFICER,
            Role.OPERATOR,
            Role.CUSTODIAN,
            Role.WITNESS,
        }
    assert all(Role.CRYPTO_OFFICER not in ROLES_FOR[verb] for verb in opening)

"""``keys compromise`` and ``keys outstanding`` against the API, served in this process."""

import json

from cli_support import run
from strongroom.core import KeyState


def made(api):
    result = run("keys", "create", "--alias", "payroll", "--json")
    return json.loads(result.stdout[result.stdout.index("{") :])["key_id"]


def test_nothing_is_compromised_without_a_yes(api):
    key_id = made(api)
    result = run("keys", "compromise", key_id)
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert api.service.keys[key_id].state is KeyState.ACTIVE


def test_a_key_is_compromised_by_any_of_its_names(api):
    key_id = made(api)
    result = run("keys", "compromise", "alias/payroll", "--yes")
    assert result.exit_code == 0
    assert "is compromised" in result.stdout
    assert api.service.keys[key_id].state is KeyState.COMPROMISED


def test_versions_are_shown_with_their_uses(api):
    key_id = made(api)
    result = run("keys", "outstanding", key_id)
    assert result.exit_code == 0
    assert ["1", api.service.keys[key_id].material_id[:16], "current", "3"] in [
        line.split()[:4] for line in result.stdout.splitlines()
    ]
    document = json.loads(run("keys", "outstanding", key_id, "--json").stdout)
    assert [version["n_uses"] for version in document["versions"]] == [3]


def test_a_key_that_is_not_there_is_told(api):
    result = run("keys", "outstanding", "alias/nobody")
    assert result.exit_code == 1
    assert "not found" in result.stderr


def test_a_pair_of_the_context_that_is_given_twice_is_wrong_usage_of_policy_check(api):
    """One of the two would else be dropped, and the answer be about another request than was asked about."""
    asked = ("keys", "policy-check", "alias/a", "--principal", "user/a", "--action", "Encrypt")
    result = run(*asked, "--context", "tenant=7", "--context", "tenant=8")
    assert (result.exit_code, "each name once" in result.stderr) == (2, True)

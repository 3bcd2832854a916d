"""``keys cryptoperiod`` and ``keys activate`` against the API, served in this process."""

import json

import pytest

from cli_support import run
from strongroom.core import KeyState


def made(api):
    result = run("keys", "create", "--json")
    return json.loads(result.stdout[result.stdout.index("{") :])["key_id"]


def test_a_key_is_limited_and_says_what_follows(api):
    key_id = made(api)
    result = run("keys", "cryptoperiod", key_id, "--days", "30", "--uses", "1000")
    assert result.exit_code == 0, result.stderr
    assert "for 30 days" in result.stdout
    assert "1000 times" in result.stdout
    assert "a new version follows by itself" in result.stdout
    assert "without limit" in run("keys", "cryptoperiod", key_id, "--none").stdout


def test_a_key_is_made_that_waits_for_its_date(api):
    result = run("keys", "create", "--alias", "later", "--activate-at", "2033-05-18T03:33:20Z", "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout[result.stdout.index("{") :])
    assert (document["state"], document["aliases"]) == ("Disabled", ["alias/later"])
    assert api.service.keys[document["key_id"]].state is KeyState.PRE_ACTIVE


def test_a_key_waits_for_its_date(api):
    key_id = made(api)
    result = run("keys", "activate", key_id, "--at", "2033-05-18")
    assert result.exit_code == 0, result.stderr
    assert "2033-05-18 00:00:00Z" in result.stdout
    assert api.service.keys[key_id].state is KeyState.PRE_ACTIVE
    document = json.loads(run("keys", "activate", key_id, "--now", "--json").stdout)
    assert (document["key_id"], document["arn"].rpartition("/")[2]) == (key_id, key_id)
    assert set(document) == {
        *("key_id", "arn", "days", "ends_at", "max_uses", "n_taken", "activate_at", "is_made_anew")
    }
    assert api.service.keys[key_id].state is KeyState.ACTIVE


@pytest.mark.parametrize(
    "said", [(), ("--days", "0"), ("--none", "--days", "3"), ("--uses", "x")], ids=" ".join
)
def test_half_a_wish_is_no_wish(api, said):
    assert run("keys", "cryptoperiod", "key", *said).exit_code == 2


@pytest.mark.parametrize("said", [(), ("--at", "tomorrow"), ("--now", "--at", "2033-05-18")], ids=" ".join)
def test_a_date_is_one_date(api, said):
    assert run("keys", "activate", "key", *said).exit_code == 2

"""Commands against the API, served over TLS in this process."""

import json
import threading

import pytest

from cli_support import ACCESS_KEY, SECRET_KEY, run
from strongroom.core import HsmIntegrityError, KeyState, NoMemberError
from strongroom.keyring import AliasInfo, KeyInfo


def _json(*arguments, **environment):
    result = run(*arguments, "--json", **environment)
    # The service is in this process, and its log may stand before our document.
    return result.exit_code, json.loads(result.stdout[result.stdout.index("{") :])


def _create(*arguments):
    status, document = _json("keys", "create", *arguments)
    assert status == 0
    return document


def test_status_shows_the_members_of_a_ready_service(api):
    result = run("status")
    assert result.exit_code == 0
    assert f"Strongroom 0.0-test at https://localhost:{api.port}: ready" in result.stdout
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["alpha", "0", "active", "0", "1", "4100001", "-", "-"] in lines
    assert ["beta", "0", "active", "0", "2", "4100002", "-", "-"] in lines


def test_status_as_json_is_the_document_and_the_readiness(api):
    status, document = _json("status")
    assert status == 0
    assert (document["ready"], document["reasons"], document["failovers"]) == (True, [], 3)
    assert [member["pid"] for member in document["members"]] == [4_100_001, 4_100_002]


def test_status_of_a_service_that_is_not_ready_ends_with_3_and_the_reasons(api):
    api.health.reasons = ["no member of the HSM cluster is active"]
    api.health.members[0].update(state="stopped", reason="its worker ended with status -9", pid=0)
    result = run("status")
    assert result.exit_code == 3
    assert "NOT READY" in result.stdout
    assert "because no member of the HSM cluster is active" in result.stdout
    assert "its worker ended with status -9" in result.stdout
    status, document = _json("status")
    assert status == 3
    assert (document["ready"], document["reasons"]) == (False, ["no member of the HSM cluster is active"])
    assert document["members"][0]["state"] == "stopped"


def test_status_gives_the_reasons_even_where_the_service_recognises_nobody_yet(api):
    api.health.reasons = ["the secrets of access keys are not unwrapped yet"]
    api.service.fail_with = NoMemberError("no HSM")
    result = run("status")
    assert result.exit_code == 3
    assert "because the secrets of access keys are not unwrapped yet" in result.stdout


def test_status_with_a_foreign_access_key_says_what_to_do(api):
    result = run("status", AWS_ACCESS_KEY_ID="AKIAOTHER", AWS_SECRET_ACCESS_KEY="of-the-real-aws")
    assert result.exit_code == 1
    assert "the service does not know this access key" in result.stderr
    assert "unset AWS_ACCESS_KEY_ID" in result.stderr
    assert "of-the-real-aws" not in result.output


def test_status_with_a_wrong_secret_says_so(api):
    result = run("status", AWS_ACCESS_KEY_ID=ACCESS_KEY, AWS_SECRET_ACCESS_KEY="wrong")
    assert result.exit_code == 1
    assert "[InvalidSignatureException]" in result.stderr


def test_control_characters_of_the_service_do_not_reach_the_terminal(api):
    api.health.members[0]["reason"] = "\x1b]0;owned\x07\nok\x9b31m"
    result = run("status")
    assert result.exit_code == 0
    assert not set(result.stdout) & set("\x1b\x07\x9b")
    assert "\\x1b]0;owned\\x07\\nok\\x9b31m" in result.stdout


def test_a_key_is_created_listed_and_shown(api):
    made = _create("--description", "pay roll", "--alias", "payroll")
    assert (made["aliases"], made["description"], made["state"]) == (["alias/payroll"], "pay roll", "Enabled")
    listed = run("keys", "list").stdout
    assert [made["key_id"], "alias/payroll"] in [line.split() for line in listed.splitlines()]
    for name in (made["key_id"], made["arn"], "alias/payroll"):
        assert _json("keys", "show", name) == (0, made)
    shown = run("keys", "show", "alias/payroll").stdout
    assert made["arn"] in shown
    assert "pay roll" in shown


def test_the_words_after_creating_a_key_say_what_to_do_next(api):
    result = run("keys", "create", "--alias", "alias/x")
    assert result.exit_code == 0
    assert "with alias/x" in result.stdout
    assert "aws kms encrypt --key-id alias/x" in result.stdout


def test_the_long_list_shows_state_and_description(api):
    made = _create("--description", "archive")
    info = api.service.keys[made["key_id"]]
    api.service.keys[made["key_id"]] = info._replace(state=KeyState.SUSPENDED)
    result = run("keys", "list", "--long")
    [row] = [line for line in result.stdout.splitlines() if made["key_id"] in line]
    assert "Disabled" in row
    assert row.endswith("archive")
    _, document = _json("keys", "list", "--long")
    assert document["keys"][0]["description"] == "archive"


def test_no_keys_is_no_error(api):
    result = run("keys", "list")
    assert result.exit_code == 0
    assert "There are no keys yet." in result.stdout
    assert _json("keys", "list") == (0, {"keys": []})


def test_every_page_of_keys_and_aliases_is_read(api):
    for number in range(1001):
        key_id = f"00000000-0000-4000-8000-{number:012d}"
        api.service.keys[key_id] = KeyInfo(key_id, KeyState.ACTIVE, "", 1.0, "m")
    last = "00000000-0000-4000-8000-000000001000"
    _, made = _json("keys", "show", last)
    for number in range(101):
        name = f"alias/{number:03d}"
        api.service.aliases[name] = AliasInfo(name, last, 1.0, 1.0)
    _, document = _json("keys", "list")
    assert [entry["key_id"] for entry in document["keys"]] == sorted(api.service.keys)
    assert len(document["keys"][-1]["aliases"]) == 101
    _, shown = _json("keys", "show", last)
    assert shown == {**made, "aliases": document["keys"][-1]["aliases"]}


def test_a_taken_alias_is_noticed_before_a_key_is_made(api):
    first = _create("--alias", "payroll")
    result = run("keys", "create", "--alias", "payroll")
    assert result.exit_code == 1
    assert f"alias/payroll is taken: it names key {first['key_id']}; no key was created" in result.stderr
    assert list(api.service.keys) == [first["key_id"]]


def test_an_alias_that_is_lost_to_another_caller_is_told_with_the_key_that_was_made(api, monkeypatch):
    other = _create()
    create_key = api.service.create_key

    async def create_key_and_lose_the_alias(caller, **asked):
        made = await create_key(caller, **asked)
        await api.service.create_alias(caller, alias_name="alias/x", target_key_id=other["key_id"])
        return made

    monkeypatch.setattr(api.service, "create_key", create_key_and_lose_the_alias)
    result = run("keys", "create", "--alias", "x")
    assert result.exit_code == 1
    [made] = set(api.service.keys) - {other["key_id"]}
    assert f"key {made} was created, but it may not be named alias/x: the alias is taken" in result.stderr


@pytest.mark.parametrize("alias", ["", "aws/x", "alias/aws/x", "with blank", "ä", "x" * 251])
def test_an_alias_that_cannot_be_is_wrong_usage_and_makes_no_key(api, alias):
    result = run("keys", "create", "--alias", alias)
    assert result.exit_code == 2
    assert api.service.keys == {}


@pytest.mark.parametrize(("key", "words"), [
    ("payroll", "did you mean alias/payroll?"),
    ("alias/payroll", "there is no such key or alias"),
    ("11111111-2222-4333-8444-555555555555", "there is no such key or alias"),
])  # fmt: skip
def test_an_unknown_key_is_told_in_words(api, key, words):
    result = run("keys", "show", key)
    assert result.exit_code == 1
    assert words in result.stderr
    assert "[NotFoundException]" in result.stderr


@pytest.mark.parametrize(("failure", "words"), [
    (NoMemberError("x"), "no HSM could serve the request"),
    (HsmIntegrityError("x"), "the service failed"),
    (RuntimeError("x"), "the service failed"),
])  # fmt: skip
def test_failures_of_the_service_are_told_in_words(api, failure, words):
    api.service.fail_with = failure
    result = run("keys", "list")
    assert result.exit_code == 1
    assert words in result.stderr
    _, document = _json("keys", "list")
    assert document["error"]["kind"] == "RequestRefusedError"
    assert document["error"]["code"] in {"DependencyTimeoutException", "KMSInternalException"}


def test_the_demo_needs_two_active_members(api):
    api.health.members[1]["state"] = "stopped"
    result = run("demo")
    assert result.exit_code == 3
    assert "fewer than two members are active" in result.stderr


def test_the_demo_kills_no_process_that_is_no_worker(api):
    bystander = threading.get_native_id()
    api.health.members[0]["pid"] = bystander
    result = run("demo", "--seconds", "2")
    assert result.exit_code == 1
    assert f"process {bystander} is not a worker of this machine" in result.stderr


def test_the_demo_does_not_start_on_a_service_that_is_not_ready(api):
    api.health.reasons = ["the service is stopping"]
    result = run("demo")
    assert result.exit_code == 3
    assert api.service.keys == {}


def test_no_online_command_prints_a_secret(api):
    assert SECRET_KEY not in run("demo", "--seconds", "2").output
    for command in (["status"], ["keys", "create"], ["keys", "list", "--long"]):
        for flags in ([], ["--json"], ["--verbose"]):
            assert SECRET_KEY not in run(*command, *flags).output

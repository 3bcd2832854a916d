"""``domains …`` and ``keys move`` against the API, served in this process."""

import json

import pytest

from cli_support import run


def document(*arguments):
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout[result.stdout.index("{") :])


def test_a_domain_is_made_shown_and_listed(api):
    made = document("domains", "create", "tenant-7")
    assert (made["name"], made["kind"], made["n_keys"], made["replaces"]) == ("tenant-7", "named", 0, None)
    assert document("domains", "show", "tenant-7") == document("domains", "show", made["domain_id"]) == made
    assert made in document("domains", "list")["domains"]
    result = run("domains", "list")
    assert ["tenant-7", "0", "of", "1000"] in [line.split()[2:6] for line in result.stdout.splitlines()]


def test_the_list_goes_over_all_pages(api, monkeypatch):
    monkeypatch.setattr("strongroom.cli._domains._PAGE", 2)
    for number in range(5):
        document("domains", "create", f"tenant-{number}")
    names = {domain["name"] for domain in document("domains", "list")["domains"]}
    assert names == {f"tenant-{number}" for number in range(5)} | {None}


def test_a_key_is_made_in_a_domain_and_moved_to_another(api):
    document("domains", "create", "tenant-7")
    made = document("keys", "create", "--domain", "tenant-7", "--alias", "payroll")
    assert document("domains", "show", "--key", "alias/payroll")["name"] == "tenant-7"
    assert api.service.tags[made["key_id"]] == {"strongroom:domain": "tenant-7"}
    moved = document("keys", "move", "alias/payroll", "--domain", "dedicated")
    assert (moved["key_id"], moved["domain"]["kind"]) == (made["key_id"], "dedicated")
    assert document("domains", "show", "--key", made["key_id"]) == moved["domain"]
    assert "is in domain" in run("keys", "move", made["key_id"], "--domain", "tenant-7").stdout


def test_a_rotation_says_how_far_it_is(api):
    old = document("domains", "create", "tenant-7")
    document("keys", "create", "--domain", "tenant-7")
    result = run("domains", "rotate", "tenant-7")
    assert result.exit_code == 0
    assert "1 of 1 keys left" in result.stdout
    shown = document("domains", "show", "tenant-7")
    assert shown["replaces"] | {"started_at": 0} == {
        "domain_id": old["domain_id"], "keys_left": 1, "keys_total": 1, "started_at": 0,
    }  # fmt: skip
    assert "1 of 1 keys left" in run("domains", "show", "tenant-7").stdout
    again = run("domains", "rotate", "tenant-7")
    assert (again.exit_code, "is being rotated" in again.stderr) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["domains", "show", "nobody"],
        ["domains", "show", "no/body?x=1"],
        ["domains", "show", "ü"],
        ["domains", "rotate", "nobody"],
        ["domains", "create", "dedicated"],
        ["keys", "create", "--domain", "nobody"],
    ],
)
def test_what_is_refused_is_told_and_nothing_is_made(api, arguments):
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr
    assert not api.service.domain_of


@pytest.mark.parametrize("arguments", [[], ["tenant-7", "--key", "alias/x"]])
def test_one_domain_is_shown_at_a_time(api, arguments):
    assert run("domains", "show", *arguments).exit_code == 2

"""``audit hsm``: a log is taken in, compared and told of, and every mistake says what to do next."""

import json
import time

import pytest

from cli_support import run
from strongroom.audit import read_entries, unknown_details
from strongroom.testing import FakeClock
from strongroom.vendorlogs import UseJournal

KEY = bytes(range(16))


@pytest.fixture
def journal(home):
    config = home.config_file
    config.write_text(config.read_text().replace('name = "alpha"\n', 'name = "alpha"\nhsm_log = "syslog"\n'))
    clock = FakeClock(time.time() - 3_600)  # it has counted for an hour
    made = UseJournal(home.audit, "alpha", clock=clock)
    clock.advance(3_600)
    yield made
    made.close()


def a_log(path, n_uses, *, name="OUID=aa"):
    at = time.strftime("%y/%m/%d %H:%M:%S", time.gmtime())
    lines = [
        f"{number},{at},S/N 1 session 2 Access 1:1 CO operation LUNA_SIGN returned RC_OK(0x00000000) {name},,{number:064X}\n"
        for number in range(1, n_uses + 1)
    ]
    path.write_text("".join(lines))
    return path


def take_in(path, *more):
    return run(
        "audit",
        "hsm",
        "import",
        "--format",
        "luna-syslog",
        "--date-order",
        "ymd",
        "--member",
        "alpha",
        path,
        *more,
    )


def test_a_use_that_was_not_ours_ends_the_comparison_with_one_and_is_in_the_audit_log(
    home, journal, tmp_path
):
    journal.note("sign", KEY, 1)
    assert take_in(a_log(tmp_path / "log", 2)).exit_code == 0

    result = run("audit", "hsm", "compare")

    assert result.exit_code == 1
    assert "UNKNOWN USE" in result.stdout
    assert "uses that no worker of ours made: alpha 1" in result.stderr
    entries = list(read_entries(home.audit))
    assert [entry.event for entry in entries] == ["hsm.log_imported", "hsm.unknown_use", "hsm.log_compared"]
    assert not any(unknown_details(entry) for entry in entries)
    (alpha, _) = json.loads(run("audit", "hsm", "list", "--json").stdout)["members"]
    assert (alpha["records"], alpha["unknown_uses"]) == (2, 1)
    assert "alpha" in run("audit", "hsm", "list").stdout


def test_uses_that_are_all_ours_are_well(home, journal, tmp_path):
    journal.note("sign", KEY, 1)
    names = tmp_path / "names"
    names.write_text(f"# as the vendor says\naa {KEY.hex()}\n")
    log = a_log(tmp_path / "log", 1)
    assert "1 records taken in" in take_in(log).stdout
    assert "1 were there already" in take_in(log).stdout

    result = run("audit", "hsm", "compare", "--member", "alpha", "--since", "1h", "--keys", names, "--json")

    assert result.exit_code == 0
    (found,) = json.loads(result.stdout)["members"].values()
    assert (found["matched"], found["unknown"], found["keys"][0]["key"]) == (1, 0, KEY.hex())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("import", "--format", "yubihsm", "--member", "nobody", "/dev/null"), "there is no member"),
        (("import", "--format", "yubihsm", "--member", "alpha", "/dev/null"), "no log of a YubiHSM"),
        (("compare",), "no log of an HSM was taken in"),
        (("compare", "--member", "alpha"), "no log of alpha was taken in"),
        (("compare", "--member", "alpha", "--since", "soon"), "is no time"),
    ],
)
def test_a_mistake_is_told_with_the_next_step(home, arguments, said):
    result = run("audit", "hsm", *arguments)

    assert result.exit_code == 1
    assert said in result.stderr


def test_a_log_of_a_member_that_does_not_count_cannot_be_compared(home, tmp_path):
    assert take_in(a_log(tmp_path / "log", 1)).exit_code == 0

    result = run("audit", "hsm", "compare")

    assert result.exit_code == 1
    assert "set hsm_log" in result.stderr


def test_dates_that_can_be_read_in_two_ways_are_asked_about(home, tmp_path):
    log = tmp_path / "log"
    log.write_text(a_log(log, 1).read_text().replace(time.strftime("%y/%m/%d", time.gmtime()), "04/05/06"))

    result = run("audit", "hsm", "import", "--format", "luna-syslog", "--member", "alpha", log)

    assert result.exit_code == 1
    assert "--date-order" in result.stderr

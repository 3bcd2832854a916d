"""``doctor``: every check on a home or machine that is as it should be, and on ones that are not."""

import json
import socket
from pathlib import Path

import msgspec
import pytest

from cli_support import SECRET_KEY, free_port, make_home, record_cluster, run
from strongroom.cli._checks import findings_of
from strongroom.cli._checks_home import (
    check_audit_log,
    check_certificate,
    check_database,
    check_private_files,
)
from strongroom.cli._checks_hsm import check_member
from strongroom.cli._checks_machine import check_clock, check_labels, check_memory, check_port
from strongroom.cli._checks_roles import check_roles
from strongroom.config import CustodyConfig, PinSource, PolicyConfig, load_config
from strongroom.core import StrongroomError, SystemClock
from strongroom.hsm.token import load_profile
from strongroom.wiring.profile_warnings import profile_warnings

YEAR_S = 365 * 86_400


class ShiftedClock(SystemClock):
    def __init__(self, shift_s):
        self._shift_s = shift_s

    def now(self):
        return super().now() + self._shift_s


def _levels(findings):
    return [finding.level for finding in findings]


def _worst(findings):
    return max(findings, key=lambda finding: ["ok", "note", "warn", "fail"].index(finding.level))


def _config(home):
    return load_config(home.root)


@pytest.mark.parametrize(
    "error", [StrongroomError("it broke", next_step="mend it"), PermissionError(13, "no", "/x")]
)
def test_a_check_that_breaks_is_a_failed_check(error):
    def broken():
        raise error
        yield

    [finding] = findings_of("name", broken)
    assert finding.level == "fail"
    assert finding.next_step


def test_secret_files_of_a_good_home_are_well(home):
    [finding] = check_private_files(home, _config(home))
    assert finding.level == "ok"


@pytest.mark.parametrize(
    ("mode", "level"), [(0o440, "fail"), (0o604, "fail"), (0o600, "warn"), (0o400, "ok")]
)
@pytest.mark.parametrize("name", ["pins/alpha", "pins/development-access-key.json", "tls/server.key"])
def test_a_secret_file_that_others_may_read_fails(home, name, mode, level):
    (home.root / name).chmod(mode)
    worst = _worst(check_private_files(home, _config(home)))
    assert worst.level == level
    if level != "ok":
        assert f"chmod 0400 {home.root / name}" in worst.next_step


def test_a_missing_pin_file_fails(home):
    (home.pins / "beta").unlink()
    worst = _worst(check_private_files(home, _config(home)))
    assert (worst.level, worst.message) == ("fail", f"{home.pins / 'beta'} is missing")


def test_a_pin_of_systemd_is_noted(home):
    config = _config(home)
    first = msgspec.structs.replace(config.cluster.members[0], pin=PinSource(credential="pin-alpha"))
    cluster = msgspec.structs.replace(config.cluster, members=[first, config.cluster.members[1]])
    findings = list(check_private_files(home, msgspec.structs.replace(config, cluster=cluster)))
    assert "pin-alpha" in findings[-1].message
    assert findings[-1].level == "note"


@pytest.mark.parametrize(("shift_s", "level"), [
    (0, "ok"), (YEAR_S - 20 * 86_400, "warn"), (YEAR_S + 86_400, "fail"), (-86_400, "fail"),
])  # fmt: skip
def test_the_certificate_is_judged_by_its_dates(home, shift_s, level):
    [finding] = check_certificate(home, _config(home), ShiftedClock(shift_s))
    assert finding.level == level


@pytest.mark.parametrize(
    "content", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_certificate_that_is_none_fails(home, content):
    path = home.tls / "server.pem"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    [finding] = check_certificate(home, _config(home), SystemClock())
    assert finding.level == "fail"


def test_no_tls_is_a_warning(tmp_path):
    home = make_home(tmp_path / "home", tls=False)
    assert _levels(check_certificate(home, _config(home), SystemClock())) == ["warn"]


def test_the_database_must_know_a_root_key(home):
    assert _levels(check_database(home)) == ["fail"]
    record_cluster(home)
    [finding] = check_database(home)
    assert (finding.level, finding.message) == ("ok", "of this version; it knows 1 root key and 2 members")


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to look like something" * 99])
def test_a_database_that_is_not_ours_fails(home, content):
    for path in home.root.glob("strongroom.db*"):
        path.unlink()
    home.database.write_bytes(content)
    [finding] = findings_of("database", lambda: check_database(home))
    assert finding.level == "fail"


def test_the_audit_log_must_be_there_and_the_disk_must_have_room(home, monkeypatch):
    assert _levels(check_audit_log(home)) == ["ok", "ok"]
    usage = type("Usage", (), {"free": 500 * 1024**2})
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage)
    assert _levels(check_audit_log(home)) == ["ok", "warn"]
    usage.free = 10 * 1024**2
    assert _levels(check_audit_log(home)) == ["ok", "fail"]
    home.audit.rmdir()
    assert _levels(check_audit_log(home)) == ["fail", "fail"]


def test_an_audit_log_that_cannot_be_written_fails(home, monkeypatch):
    writer = home.audit / "wal" / "api-0"
    writer.mkdir(parents=True)
    monkeypatch.setattr("os.access", lambda path, _mode: Path(path) != writer)
    finding = next(iter(check_audit_log(home)))
    assert (finding.level, f"{writer} cannot be written" in finding.message) == ("fail", True)


def test_unlocked_memory_is_a_warning_only_where_swap_is_on(tmp_path, monkeypatch):
    swaps = tmp_path / "swaps"
    swaps.write_text("Filename Type Size Used Priority\n")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("resource.getrlimit", lambda _which: (8 * 1024**2, 8 * 1024**2))
    assert _levels(check_memory(swaps)) == ["ok", "note"]
    with swaps.open("a") as file:
        file.write("/dev/sda2 partition 8388604 0 -2\n")
    assert _levels(check_memory(swaps)) == ["ok", "warn"]
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert _levels(check_memory(swaps)) == ["ok", "ok"]


@pytest.mark.parametrize(
    ("shift_s", "level"), [(0, "ok"), (-3600, "warn"), (-10 * YEAR_S, "fail"), (99 * YEAR_S, "fail")]
)
def test_a_clock_that_cannot_be_right_is_noticed(home, shift_s, level):
    [finding] = check_clock(home, ShiftedClock(shift_s))
    assert finding.level == level


def test_a_free_port_is_well(home, monkeypatch):
    monkeypatch.setenv("STRONGROOM_PORT", str(free_port()))
    [finding] = check_port(home, _config(home), SystemClock())
    assert (finding.level, "is free" in finding.message) == ("ok", True)


def test_a_port_served_by_this_home_is_well_and_one_not_ready_is_a_warning(api, home):
    [finding] = check_port(home, _config(home), SystemClock())
    assert (finding.level, "is served, and ready" in finding.message) == ("ok", True)
    api.health.reasons = ["no member"]
    assert _levels(check_port(home, _config(home), SystemClock())) == ["warn"]


def test_a_port_that_another_program_holds_fails(home, monkeypatch):
    monkeypatch.setattr("strongroom.cli._checks_machine._PROBE_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("STRONGROOM_PORT", str(taken.getsockname()[1]))
        [finding] = check_port(home, _config(home), SystemClock())
    assert finding.level == "fail"
    assert "STRONGROOM_PORT" in finding.next_step


def test_the_labels_are_honest(home, tmp_path):
    fips = tmp_path / "fips_enabled"
    fips.write_text("0\n")
    soft, software = check_labels(_config(home), fips)
    assert (soft.level, software.level) == ("note", "note")
    assert "for development only" in soft.message
    assert "not a FIPS 140 validated module" in software.message
    fips.write_text("1\n")
    assert _levels(check_labels(_config(home), fips)) == ["note", "warn"]


def _member(home, **changes):
    return msgspec.structs.replace(_config(home).cluster.members[0], **changes)


@pytest.mark.parametrize(("changes", "words"), [
    ({"profile": "no-such-vendor"}, "there is no HSM profile 'no-such-vendor'"),
    ({"module": "/nowhere/lib.so"}, "there is no PKCS#11 module at /nowhere/lib.so"),
    ({"module": "{libc}"}, "is not a PKCS#11 module"),
])  # fmt: skip
def test_a_member_whose_module_does_not_load_fails_with_the_reason(home, changes, words):
    libc = next(
        line.split()[-1]
        for line in Path("/proc/self/maps").read_text().splitlines()
        if "libc.so" in line or "libc-2" in line
    )
    changes = {name: value.replace("{libc}", libc) for name, value in changes.items()}
    [finding] = check_member(home, _member(home, **changes))
    assert finding.level == "fail"
    assert words in finding.message


def test_a_profile_with_a_historical_validation_is_warned_about_by_doctor_and_status(home):
    if not any(Path(path).is_file() for path in load_profile("nss").module_paths):
        pytest.skip("NSS softokn is missing: install the package libnss3")
    member = _member(
        home,
        profile="nss",
        library_parameters="configdir='' certPrefix='' keyPrefix='' secmod='' flags=noCertDB,noModDB",
        profile_changes={"standard": "FIPS 140-2", "level": 3, "evidence": "documents"},
    )
    found = {finding.level: finding for finding in check_member(home, member)}
    assert "historical since 21 September 2026" in found["warn"].message
    assert "not tried on such an HSM" in found["note"].message
    (warning,) = profile_warnings([_member(home), member])
    assert warning.startswith(f"member {member.name}: ")
    assert "historical since 21 September 2026" in warning


@pytest.mark.parametrize(("program", "words"), [
    ("import os; os.kill(os.getpid(), 11)", "took its process with it (SIGSEGV)"),
    ("raise SystemExit(4)", "took its process with it (status 4)"),
    ("print('\\x00 no json')", "took its process with it (status 0)"),
    ("import time; time.sleep(60)", "hangs"),
])  # fmt: skip
def test_a_module_that_crashes_or_hangs_takes_its_own_process_only(
    home, tmp_path, monkeypatch, program, words
):
    (tmp_path / "broken_probe.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("strongroom.cli._checks_hsm._PROBE_PROGRAM", "broken_probe")
    monkeypatch.setattr("strongroom.cli._checks_hsm._LIMIT_S", 1.5)
    [finding] = check_member(home, _member(home))
    assert finding.level == "fail"
    assert words in finding.message


def test_the_report_names_every_check_and_ends_with_1_when_one_fails(home):
    result = run("doctor", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert (document["home"], document["healthy"]) == (str(home.root), False)
    names = [check["name"] for check in document["checks"]]
    assert {
        "home",
        "configuration",
        "secret files",
        "member alpha",
        "member beta",
        "TLS",
        "database",
        "clock",
    } < set(names)
    failed = {check["name"] for check in document["checks"] if check["level"] == "fail"}
    assert {"database", "member alpha"} <= failed  # this home has no tokens and no root key
    result = run("doctor")
    assert result.exit_code == 1
    assert "checks failed, first:" in result.stderr
    assert "      what to do: " in result.stdout
    assert SECRET_KEY not in result.output


def test_without_a_home_the_machine_is_checked_all_the_same():
    result = run("doctor", "--json")
    assert result.exit_code == 1
    levels = {check["name"]: check["level"] for check in json.loads(result.stdout)["checks"]}
    assert levels["home or configuration"] == "fail"
    assert levels["clock"] == "ok"


def test_a_wrong_configuration_fails_and_the_rest_is_left_out(home):
    home.config_file.write_text("version = 2")
    result = run("doctor")
    assert "fail  home or configuration" in result.stdout
    assert "secret files" not in result.stdout


def test_the_doctor_changes_nothing(home):
    def seen():
        return {
            str(path): (path.stat().st_mtime_ns, path.stat().st_mode)
            for path in home.root.rglob("*")
            if path.is_file() and not path.name.endswith(("-shm", "-wal"))  # SQLite's, whoever opens it
        }

    before = seen()
    run("doctor")
    assert seen() == before


def test_a_home_of_another_user_fails_and_the_machine_is_checked_all_the_same(home, monkeypatch):
    def denied(_home):
        raise PermissionError(13, "Permission denied", str(home.config_file))

    monkeypatch.setattr("strongroom.cli._doctor.require_complete", denied)
    result = run("doctor", "--json")
    assert result.exit_code == 1
    first, *rest = json.loads(result.stdout)["checks"]
    assert first["message"] == f"cannot look at {home.config_file}: Permission denied"
    assert rest


def test_a_development_home_is_said_to_separate_nothing(home):
    [finding] = check_roles(home, _config(home))
    assert (finding.name, finding.level) == ("roles", "note")
    assert "nothing is separated" in finding.message


def test_a_chain_of_custody_that_is_not_there_fails(home):
    config = msgspec.structs.replace(_config(home), custody=CustodyConfig(genesis_sha256="00" * 32))
    [finding] = check_roles(home, config)
    assert finding.level == "fail"
    assert "chain of custody" in finding.message


def test_in_fips_mode_doctor_says_what_is_not_validated(home, tmp_path):
    config = msgspec.structs.replace(_config(home), policy=PolicyConfig(fips=True))
    _, mode, software = check_labels(config, tmp_path / "none")
    assert (mode.name, mode.level) == ("FIPS mode", "ok")
    assert "Envelope keys, data keys, verifying and RSA encryption are refused" in software.message

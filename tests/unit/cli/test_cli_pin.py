"""``strongroom pin`` without a service: PINs are sealed, looked at and opened; nothing shows one that was not asked for."""

import json
import stat

import msgspec
import pyrage
import pytest

from cli_support import run
from fresh_database import fresh_database
from strongroom.config import (
    ClusterConfig,
    Config,
    Home,
    MemberConfig,
    PinSource,
    load_config,
    render_config,
)
from strongroom.core import MemberFailedError, Secret
from strongroom.wiring.pin_attempts import PinAttemptFile
from strongroom.wiring.pin_changes import PinChange, PinTries, read_change, write_change
from strongroom.wiring.pin_delivery import deliver, pin_letter
from strongroom.wiring.pin_refusals import SaltedPin
from strongroom.wiring.pin_sealing import PinBinding, read_pin

PIN, OTHER = "Zu9hG3kqPPx2", "aB3dE5fG7hJ9"


@pytest.fixture
def home(tmp_path, monkeypatch):
    root = tmp_path / "home"
    (root / "pins").mkdir(parents=True)
    root.chmod(0o700)
    members = [
        MemberConfig(
            name=name, profile="softhsm2", pin=PinSource(file=f"pins/{name}"), token_serial=f"0{name}"
        )
        for name in ("alpha", "beta")
    ]
    for name in ("alpha", "beta"):
        (root / "pins" / name).write_text(f"{PIN}\n")
        (root / "pins" / name).chmod(0o400)
    home = Home(root)
    home.config_file.write_text(render_config(Config(version=1, cluster=ClusterConfig(members=members))))
    fresh_database(home.database)
    monkeypatch.setenv("STRONGROOM_HOME", str(root))
    return home


def sealed(home, name="alpha"):
    member = next(one for one in load_config(home.root).cluster.members if one.name == name)
    return member, read_pin(member, home).reveal().decode()


def test_pins_in_clear_are_sealed_and_their_files_removed(home):
    result = run("pin", "seal")
    assert result.exit_code == 0, result.output
    assert PIN not in result.output
    assert sealed(home)[1] == sealed(home, "beta")[1] == PIN
    assert sorted(path.name for path in home.pins.iterdir()) == ["alpha.sealed", "beta.sealed", "sealing-key"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in home.pins.iterdir()} == {0o400}
    assert "Every PIN is sealed already" in run("pin", "seal").output


def test_another_pin_of_one_member_is_sealed_from_a_file_and_ends_a_change(home, tmp_path):
    run("pin", "seal")
    change = PinChange(change_id="0" * 16, member="alpha", phase="setting", started_at=1)
    write_change(home.pin_changes / "alpha", change)
    (tmp_path / "new").write_text(OTHER)
    (tmp_path / "new").chmod(0o600)
    result = run("pin", "seal", "--member", "alpha", "--pin-file", str(tmp_path / "new"))
    assert result.exit_code == 0, result.output
    assert sealed(home)[1] == OTHER
    assert sealed(home, "beta")[1] == PIN
    assert read_change(home.pin_changes / "alpha").phase == "failed"


def test_a_pin_is_not_taken_for_all_members(home, tmp_path):
    (tmp_path / "new").write_text(OTHER)
    (tmp_path / "new").chmod(0o600)
    result = run("pin", "seal", "--pin-file", str(tmp_path / "new"))
    assert result.exit_code == 1
    assert OTHER not in result.output


def test_status_tells_of_a_change_that_does_not_go_on(home):
    run("pin", "seal")
    assert run("pin", "status").exit_code == 0
    change = PinChange(
        change_id="0" * 16, member="alpha", phase="setting", started_at=1, trouble="no PIN was tried"
    )
    write_change(home.pin_changes / "alpha", change)
    result = run("pin", "status", "--json")
    assert result.exit_code == 1
    assert '"state": "in trouble"' in result.stdout or '"state":"in trouble"' in result.stdout
    assert "no PIN was tried" in result.stdout


def test_tries_are_allowed_again_after_a_person_looked(home):
    change = PinChange(
        change_id="0" * 16, member="alpha", phase="setting", started_at=1, old=PinTries(unknown=2), refusals=1
    )
    write_change(home.pin_changes / "alpha", change)
    assert run("pin", "retry", "--member", "alpha").exit_code == 0
    after = read_change(home.pin_changes / "alpha")
    assert (after.phase, after.old, after.refusals) == ("setting", PinTries(), 0)
    assert "nothing to do" in run("pin", "retry", "--member", "beta").output
    assert run("pin", "retry", "--member", "nobody").exit_code == 1


def test_a_delivered_pin_opens_offline_for_its_recipient(tmp_path):
    identity = pyrage.x25519.Identity.generate()
    letter = pin_letter(Secret(PIN.encode()), PinBinding("alpha", "so", "serial", "01"), at=1)
    deliver(letter, [str(identity.to_public())], tmp_path / "alpha.age")
    key = tmp_path / "key.txt"
    key.write_text(f"{identity}\n")
    key.chmod(0o600)
    result = run("pin", "open", str(tmp_path / "alpha.age"), "--key", str(key))
    assert result.exit_code == 0, result.output
    assert PIN in result.stdout
    key.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    refused = run("pin", "open", str(tmp_path / "alpha.age"), "--key", str(key))
    assert refused.exit_code == 1
    assert PIN not in refused.output
    key.chmod(0o644)
    assert run("pin", "open", str(tmp_path / "alpha.age"), "--key", str(key)).exit_code == 1


def test_who_has_no_terminal_is_told_the_option_that_takes_the_security_officer_s_pin(home):
    done = run("pin", "rotate", "--role", "so", "--member", "alpha")
    assert done.exit_code == 1
    assert "--so-pin-file FILE" in done.stderr


def test_what_can_be_no_id_of_a_request_is_refused_before_anything_is_asked(home):
    done = run("pin", "rotate", "--approval", "approved!")
    assert done.exit_code == 2
    assert "8 to 64" in done.stderr


def test_without_a_service_nothing_is_rotated(home):
    assert run("pin", "rotate").exit_code == 3


def test_a_change_says_nothing_of_its_pin():
    shown = msgspec.json.encode(PinChange(change_id="0" * 16, member="alpha", started_at=1)).decode()
    assert "pin" not in json.loads(shown)


def test_tries_of_a_security_officer_s_pin_are_allowed_again_also_after_the_change(home):
    change = PinChange(
        change_id="0" * 16,
        member="alpha",
        role="so",
        phase="failed",
        started_at=1,
        refusals=2,
        trouble="refused",
    )
    write_change(home.pin_changes / "alpha.so", change)
    assert run("pin", "retry", "--member", "alpha", "--role", "so").exit_code == 0
    after = read_change(home.pin_changes / "alpha.so")
    assert (after.phase, after.refusals, after.trouble) == ("failed", 0, "refused")


def test_a_pin_that_was_replaced_may_be_sealed_again_by_hand(home, tmp_path):
    """Such as that of a token which its vendor's backup brought back, with the PIN that it had then."""
    run("pin", "seal")
    member, _ = sealed(home)
    replaced = SaltedPin.of(
        Secret(PIN.encode()), token_serial=member.token_serial, token_label=None
    ).to_text()
    done = PinChange(
        change_id="0" * 16, member="alpha", phase="done", started_at=1, ended_at=2, replaced=replaced
    )
    write_change(home.pin_changes / "alpha", done)
    with pytest.raises(MemberFailedError, match="was replaced"):
        attempts(home, member).begin(Secret(PIN.encode()), is_count_low=False)
    (tmp_path / "former").write_text(PIN)
    (tmp_path / "former").chmod(0o600)
    result = run("pin", "seal", "--member", "alpha", "--pin-file", str(tmp_path / "former"))
    assert result.exit_code == 0, result.output
    attempts(home, member).begin(Secret(PIN.encode()), is_count_low=False)


def attempts(home, member):
    return PinAttemptFile(
        home.pin_attempts / member.name,
        home.pin_refused / member.name,
        token_serial=member.token_serial,
        token_label=member.token_label,
        not_kept=lambda _cause: None,
        change_path=home.pin_changes / member.name,
    )


def test_a_file_in_clear_that_an_interruption_left_is_removed_by_the_next_seal(home):
    clear = (home.pins / "alpha").read_bytes()
    run("pin", "seal")
    (home.pins / "alpha").write_bytes(
        clear
    )  # as if it had been killed between the configuration and the removal
    (home.pins / "alpha").chmod(0o400)
    assert run("pin", "seal").exit_code == 0
    assert not (home.pins / "alpha").exists()

"""What a restore refuses before it touches a token: each with an error of its own, and nothing begun."""

import asyncio
import dataclasses

import msgspec
import pytest

from backup_documents import a_manifest, a_set, a_snapshot
from fakes_custody import RULES, approve
from restorable_bundles import SCRIPT, a_genesis, restorable
from strongroom.backup import (
    AlteredBundleError,
    AlteredShareError,
    MissingKeyError,
    NewerBundleError,
    WrongSetError,
)
from strongroom.config import Home
from strongroom.core import ApprovalRequiredError, ConfigError, HomeError, Secret, SystemClock, WrapAlgorithm
from strongroom.custody import MAX_REQUEST_BYTES, ApprovalRequest, read_document, write_document
from strongroom.shares import (
    DuplicateShareError,
    ForeignShareError,
    SharePlan,
    TooFewSharesError,
    read_share,
    split,
)
from strongroom.testing import FakeClock
from strongroom.wiring.restore_home import needs_approval, restore_home
from strongroom.wiring.restore_journal import RestoreJournal, RestoreJournalFile
from strongroom.wiring.restore_script import parse_restore_script
from strongroom.wiring.restore_shares import combined_share_key
from strongroom.wiring.restore_source import (
    RestoreApproval,
    check_against_script,
    read_restore_source,
    require_approved,
    restore_request,
)


@pytest.fixture(autouse=True)
def _unlocked(monkeypatch):
    """The process of the tests is not locked into memory for good."""
    monkeypatch.setattr("strongroom.wiring.restore_home.protect_process", list)


class NotAskedError(Exception):
    """The shares were asked for."""


def not_asked(_backup_set):
    raise NotAskedError


def attempt(made, root, *, script=SCRIPT, share_key=not_asked, approval=None, **options):
    work = restore_home(
        root, made.path, made.set_document, parse_restore_script(script),
        share_key=share_key, approval=approval, clock=SystemClock(), progress=lambda step: None, **options,
    )  # fmt: skip
    return asyncio.run(work)


def source_of(made):
    return read_restore_source(made.path, made.set_document)


def approved(made, *officers, clock=None):
    """A request for the bundle, signed."""
    document = restore_request(source_of(made), requester="local/0", clock=clock or SystemClock())
    request = read_document(document, ApprovalRequest, max_bytes=MAX_REQUEST_BYTES)
    return RestoreApproval(document, approve(request, *officers))


def is_untouched(home):
    return not home.restore_journal.exists() and not home.tokens.exists() and not home.pins.exists()


@pytest.fixture
def made(tmp_path):
    return restorable(tmp_path, genesis=a_genesis())


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


def test_officers_are_asked_before_custodians_and_both_before_a_token_is_touched(made, home):
    with pytest.raises(ApprovalRequiredError, match="takes an approved RestoreBackup"):
        attempt(made, home.root)
    with pytest.raises(ApprovalRequiredError, match="have not approved"):
        attempt(made, home.root, approval=approved(made, "anna"))
    with pytest.raises(NotAskedError):
        attempt(made, home.root, approval=approved(made, "anna", "ben"))
    assert is_untouched(home)


def test_without_officers_nobody_has_to_approve(tmp_path, home):
    made = restorable(tmp_path)
    assert not needs_approval(home, source_of(made), clock=SystemClock())
    with pytest.raises(NotAskedError):
        attempt(made, home.root, script=SCRIPT)
    with pytest.raises(ConfigError, match="without officers"):
        restore_request(source_of(made), requester="local/0", clock=SystemClock())


def test_an_approval_is_for_one_bundle_and_ends(made, tmp_path):
    (tmp_path / "other").mkdir()
    other = restorable(tmp_path / "other", genesis=a_genesis(), made_at=1_800_000_200)
    with pytest.raises(ApprovalRequiredError, match="not for restoring this very bundle"):
        require_approved(source_of(made), approved(other, "anna", "ben"), now=int(SystemClock().now()))
    clock = FakeClock(1_800_000_000.0)
    signed = approved(made, "anna", "ben", clock=clock)
    counted = require_approved(source_of(made), signed, now=1_800_003_599)
    assert [one.officer for one in counted.approvers] == ["anna", "ben"]
    with pytest.raises(ApprovalRequiredError, match="expired"):
        require_approved(source_of(made), signed, now=1_800_003_600)


def test_an_approval_of_another_act_with_the_same_parameters_restores_nothing(made):
    document = restore_request(source_of(made), requester="local/0", clock=SystemClock())
    request = read_document(document, ApprovalRequest, max_bytes=MAX_REQUEST_BYTES)
    other = msgspec.structs.replace(request, verb="RotateRoot")
    approval = RestoreApproval(write_document(other), approve(other, "anna", "ben"))
    with pytest.raises(ApprovalRequiredError, match="not for restoring this very bundle"):
        require_approved(source_of(made), approval, now=int(SystemClock().now()))


def test_roots_that_leave_no_hsm_are_in_no_bundle(tmp_path):
    (root,) = a_manifest(a_set(b"spki"), a_snapshot()[0]).roots
    made = restorable(
        tmp_path,
        roots=(msgspec.structs.replace(root, wrap_algorithm=int(WrapAlgorithm.HSM_RSA_OAEP)),),
    )
    with pytest.raises(AlteredBundleError, match="whose roots leave no HSM"):
        source_of(made)


def test_who_may_not_approve_does_not(made):
    for officers in (("anna", "dora"), ("anna", "anna")):
        with pytest.raises(ApprovalRequiredError):
            require_approved(source_of(made), approved(made, *officers), now=int(SystemClock().now()))


def test_a_cluster_without_a_rule_for_it_is_not_restored(tmp_path, home):
    made = restorable(tmp_path, genesis=a_genesis(RULES))
    with pytest.raises(ConfigError, match="nobody can approve"):
        restore_request(source_of(made), requester="local/0", clock=SystemClock())
    with pytest.raises(ApprovalRequiredError):
        attempt(made, home.root)


def test_production_roots_come_into_software_only_when_somebody_says_so(tmp_path, home):
    made = restorable(tmp_path, origin="hsm")
    with pytest.raises(ConfigError, match="software token"):
        attempt(made, home.root)
    with pytest.raises(NotAskedError):
        attempt(made, home.root, production_roots_into_softhsm=True)
    script = parse_restore_script(SCRIPT.replace(b'"softhsm2"', b'"luna"'))
    check_against_script(source_of(made), script, production_roots_into_softhsm=False)


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"custody": ()}, MissingKeyError, "does not say who they are"),
        ({"custody_head": "ab" * 32}, AlteredBundleError, "ends elsewhere"),
        ({"source": "another"}, MissingKeyError, "no backup transport key"),
    ],
)
def test_a_bundle_that_lacks_what_a_restore_needs_is_refused(tmp_path, changes, error, match):
    made = restorable(tmp_path, genesis=a_genesis(), **changes)
    with pytest.raises(error, match=match):
        source_of(made)


def test_a_bundle_is_verified_against_the_document_of_its_set(made, tmp_path):
    (tmp_path / "other").mkdir()
    other = restorable(tmp_path / "other")
    with pytest.raises(AlteredBundleError):
        read_restore_source(made.path, other.set_document)
    data = bytearray(made.path.read_bytes())
    data[-1] ^= 1
    made.path.write_bytes(data)
    with pytest.raises(AlteredBundleError, match="snapshot"):
        source_of(made)


def test_a_database_of_a_later_version_is_refused(tmp_path, monkeypatch):
    made = restorable(tmp_path)
    monkeypatch.setattr(
        "strongroom.wiring.restore_source.knows_revision", lambda revision: revision != "0014"
    )
    with pytest.raises(NewerBundleError):
        source_of(made)


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (b"[rules]\n", "a table rules"),
        (b'[[officers]]\nid = "anna"\n', "a table officers"),
        (b'[[access_keys]]\nprincipal = "user/app"\n', "a table access_keys"),
        (b"[elsewhere]\n", "unknown field"),
        (b'[tls]\nmake_for = ["localhost"]\n', "service.tls is false"),
    ],
)
def test_a_script_says_nothing_that_is_in_the_bundle(more, match):
    with pytest.raises(ConfigError, match=match):
        parse_restore_script(SCRIPT + more)


def test_a_script_for_another_cluster_or_other_officers_is_refused(made, home):
    with pytest.raises(ConfigError, match="the script is for 'another'"):
        attempt(made, home.root, script=SCRIPT.replace(b"test cluster", b"another"))
    named = SCRIPT + b'security_officers = ["dora"]\n'
    with pytest.raises(ConfigError, match="security officer"):
        attempt(made, home.root, script=named)
    with pytest.raises(ConfigError, match="without officers"):
        check_against_script(
            source_of(made)._replace(chain=None),
            parse_restore_script(named),
            production_roots_into_softhsm=False,
        )


def test_shares_are_judged_one_by_one_and_together(made):
    first, second, third, *_ = made.shares
    assert combined_share_key(made.backup_set, made.shares[1:4]).reveal() == bytes(range(32))
    with pytest.raises(TooFewSharesError, match="3 shares are needed"):
        combined_share_key(made.backup_set, [first, second])
    with pytest.raises(TooFewSharesError, match="3 shares are needed, and there are none"):
        combined_share_key(made.backup_set, [])
    with pytest.raises(DuplicateShareError):
        combined_share_key(made.backup_set, [first, second, read_share(" ".join(first.words))])
    strangers = split(Secret(bytes(32)), SharePlan(3, 5))
    with pytest.raises(ForeignShareError, match="1st and 2nd and 3rd"):
        combined_share_key(made.backup_set, strangers[:3])
    with pytest.raises(ForeignShareError, match="the 3rd of the shares"):
        combined_share_key(made.backup_set, [first, second, strangers[2]])
    assert third.index == 3


def test_a_share_that_somebody_made_up_is_named(made):
    value = bytearray(made.shares[1].value.reveal())
    value[5] ^= 1
    made_up = _with_value(made.shares[1], bytes(value))
    with pytest.raises(AlteredShareError, match="share 2"):
        combined_share_key(made.backup_set, [made.shares[0], made_up, made.shares[2]])


def _with_value(share, value):
    return dataclasses.replace(share, value=Secret(value))


def test_a_document_of_the_set_with_another_check_value_opens_nothing(made):
    other = msgspec.structs.replace(made.backup_set, share_key_check="00" * 8)
    with pytest.raises(WrongSetError):
        combined_share_key(other, made.shares[:3])


def test_a_home_that_exists_is_refused(made, home):
    home.root.mkdir(mode=0o700)
    (home.root / "something").touch()
    with pytest.raises(HomeError, match="holds other things"):
        attempt(made, home.root, approval=approved(made, "anna", "ben"))
    (home.root / "something").unlink()
    home.config_file.touch()
    home.database.touch()
    with pytest.raises(HomeError, match="a home already, and of no bundle"):
        attempt(made, home.root, approval=approved(made, "anna", "ben"))


def begun(made, home, **changes):
    """A journal of a restore that was interrupted."""
    home.root.mkdir(mode=0o700, exist_ok=True)
    signed = approved(made, "anna", "ben")
    fields = {
        "version": 1, "script_sha256": "5c" * 32, "bundle_sha256": source_of(made).sha256,
        "set_sha256": source_of(made).manifest.set_sha256, "request": signed.request,
        "signatures": list(signed.signatures), "approved_at": int(SystemClock().now()),
    }  # fmt: skip
    RestoreJournalFile(home.restore_journal).save(RestoreJournal(**(fields | changes)))


def test_an_interrupted_restore_goes_on_with_its_own_script_and_bundle_only(made, home):
    begun(made, home)
    assert not needs_approval(home, source_of(made), clock=SystemClock())
    with pytest.raises(HomeError, match="another script"):
        attempt(made, home.root)
    begun(made, home, bundle_sha256="00" * 32, script_sha256="")
    with pytest.raises(HomeError, match="another"):
        attempt(made, home.root)


def test_officers_sign_anew_when_an_interrupted_restore_is_taken_up_too_late(made, home):
    begun(made, home)
    late = FakeClock(SystemClock().now() + 7_200)
    assert needs_approval(home, source_of(made), clock=late)
    begun(made, home, is_keyed=True)
    assert not needs_approval(home, source_of(made), clock=late)


def test_a_damaged_journal_is_not_guessed_at(made, home):
    begun(made, home)
    home.restore_journal.write_bytes(home.restore_journal.read_bytes()[:100])
    with pytest.raises(HomeError, match="cannot be read"):
        attempt(made, home.root)

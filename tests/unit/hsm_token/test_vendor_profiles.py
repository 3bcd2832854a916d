"""The profiles that come with the package: each is consistent, honest about what was tried, and shown in the docs."""

import re
from importlib import resources
from pathlib import Path

import pytest

import strongroom.hsm.token
from hsm_profiles_page import render
from strongroom.core import ConfigError, WrapAlgorithm
from strongroom.hsm.token import WRAP_PREFERENCE, known_profiles, load_profile
from strongroom.hsm.token._profile import parse_profile

PAGE = Path(__file__).parents[3] / "docs" / "hsm-profiles.md"
TESTED = {"softhsm2", "opencryptoki", "nss", "p11-kit-softhsm"}
VENDORS = {
    "luna", "luna-ibm-cloud", "luna-azure-dedicated", "aws-cloudhsm", "azure-cloud-hsm", "utimaco", "nshield",
    "ibm-hpcs", "google-kmsp11", "yubihsm2", "nethsm", "tpm2",
}  # fmt: skip
every_profile = pytest.mark.parametrize("name", known_profiles())


def text_of(name):
    return (resources.files(strongroom.hsm.token) / "profiles" / f"{name}.toml").read_text()


def test_every_vendor_that_is_promised_has_a_profile():
    assert set(known_profiles()) == TESTED | VENDORS


@every_profile
def test_only_what_the_conformance_tests_run_on_calls_itself_tested(name):
    assert (load_profile(name).evidence == "tested") == (name in TESTED)


@every_profile
def test_a_profile_tells_people_what_it_is_and_what_they_must_look_up(name):
    profile = load_profile(name)
    assert profile.title
    assert profile.notes
    if profile.evidence == "documents" and not profile.certificate:
        assert re.search(r"look|ask|not validated|belongs to one machine", profile.notes, re.IGNORECASE)


@every_profile
def test_a_profile_can_be_served(name):
    profile = load_profile(name)
    assert profile.wrap_algorithm in WRAP_PREFERENCE
    assert all(path.startswith("/") for path in profile.module_paths)
    assert profile.max_sessions >= profile.threads, "a thread without a session only waits"
    assert profile.admin_operation_limit_s >= profile.operation_limit_s


@every_profile
def test_a_key_leaves_only_where_the_token_knows_what_keeps_it_from_leaving_otherwise(name):
    profile = load_profile(name)
    if profile.replication == "trusted-wrapping":
        assert not set(profile.unknown_attributes) & {"CKA_WRAP_WITH_TRUSTED", "CKA_TRUSTED"}


def test_every_wrap_algorithm_and_every_place_of_an_iv_of_an_hsm_is_needed_by_some_vendor():
    profiles = [load_profile(name) for name in known_profiles()]
    assert {profile.wrap_algorithm for profile in profiles} == set(WRAP_PREFERENCE)
    assert {profile.iv_rule for profile in profiles} >= {"caller", "hsm-in-parameter", "hsm-appended"}


def test_a_validation_under_fips_140_2_is_warned_about():
    assert "historical since 21 September 2026" in load_profile("ibm-hpcs").standard_warning
    assert load_profile("aws-cloudhsm").standard_warning is None
    assert load_profile("softhsm2").standard_warning is None


def test_what_the_vendors_documents_say_of_their_iv_is_in_the_profile():
    luna, cloudhsm = load_profile("luna"), load_profile("aws-cloudhsm")
    assert (luna.iv_rule, luna.iv_len) == ("hsm-appended", 16)
    assert (cloudhsm.iv_rule, cloudhsm.iv_len) == ("hsm-in-parameter", 12)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('iv_rule = "caller"', 'iv_rule = "caller"\niv_len = 16'), "12 bytes"),
        (('wrap_algorithm = "HSM_AES_GCM"', 'wrap_algorithm = "XAES_256_GCM"'), "none of an HSM"),
        (("throttled = []", 'throttled = ["CKR_TIRED"]'), "does not exist"),
        (("throttled = []", 'throttled = []\nunknown_attributes = ["CKA_SOUL"]'), "does not exist"),
        (("throttled = []", 'throttled = []\nunknown_attributes = ["CKA_SENSITIVE"]'), "cannot do without"),
        (("throttled = []", 'throttled = []\nunknown_attributes = ["CKA_WRAP_WITH_TRUSTED"]'), "trusted wrapping"),
        (("throttled = []", "throttled = []\nburst = 3"), "burst"),
        (('standard = "none"', 'standard = "FIPS 140-3"'), "level"),
        (("gcm_mechanism = 0x1087", "gcm_mechanism = 0x1088"), "gcm_mechanism"),
        (('"/usr/lib/softhsm/libsofthsm2.so"', '"lib/softhsm/libsofthsm2.so"'), "absolute"),
    ],
)  # fmt: skip
def test_fields_that_contradict_each_other_are_refused(change, complaint):
    text = text_of("softhsm2").replace("iv_len = 12\n", "")
    assert change[0] in text
    with pytest.raises(ConfigError, match=complaint):
        parse_profile(text.replace(*change), name="softhsm2")


def test_single_fields_are_changed_by_the_configuration():
    changed = load_profile("luna", {"iv_rule": "caller", "iv_len": 12, "wrap_algorithm": "HSM_AES_CBC_HMAC"})
    assert (changed.iv_rule, changed.iv_len, changed.name) == ("caller", 12, "luna")
    assert changed.wrap_algorithm is WrapAlgorithm.HSM_AES_CBC_HMAC


@pytest.mark.parametrize(
    "changes", [{"iv_ruel": "caller"}, {"iv_len": "12"}, {"name": "softhsm2"}, {"level": 9}]
)
def test_changes_that_do_not_fit_are_refused(changes):
    with pytest.raises(ConfigError, match="luna"):
        load_profile("luna", changes)


def test_the_page_of_the_profiles_is_what_the_profiles_say():
    assert PAGE.read_text() == render(), "run: python tests/hsm_profiles_page.py > docs/hsm-profiles.md"

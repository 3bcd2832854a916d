"""Vendor profiles are strict data."""

import pytest

from strongroom.core import ConfigError, TokenNotFoundError, WrapAlgorithm
from strongroom.hsm.token import known_profiles, load_profile
from strongroom.hsm.token._profile import parse_profile

GOOD = """
name = "example"
module_paths = ["/nowhere/libexample.so"]
threads = 4
workers = 2
max_sessions = 32
session_wait_s = 1.5
operation_limit_s = 5
admin_operation_limit_s = 60
wrap_algorithm = "HSM_AES_GCM"
iv_rule = "caller"
general_error_is_bad_tag = false
oaep_hash = "sha256"
import_key_bits = 3072
store_protection = "none"
"""


@pytest.mark.parametrize("name", known_profiles())
def test_every_profile_of_the_package_loads(name):
    assert load_profile(name).name == name


def test_softhsm_runs_one_thread_and_wraps_with_aes_gcm():
    profile = load_profile("softhsm2")
    assert (profile.threads, profile.wrap_algorithm) == (1, WrapAlgorithm.HSM_AES_GCM)
    assert (profile.oaep_hash, profile.store_protection) == ("sha1", "softhsm")


@pytest.mark.parametrize("name", ["fortress", "../profiles/softhsm2", ""])
def test_an_unknown_profile_is_refused_with_the_list_of_known_ones(name):
    with pytest.raises(ConfigError, match="softhsm2"):
        load_profile(name)


def test_a_good_profile_is_read_whole():
    profile = parse_profile(GOOD, name="example")
    assert (profile.max_sessions, profile.operation_limit_s, profile.oaep_hash) == (32, 5.0, "sha256")


@pytest.mark.parametrize(
    "change",
    [
        ("threads = 4", "threads = 0"),
        ("threads = 4", 'threads = "4"'),
        ("threads = 4", ""),
        ("threads = 4", "threads = 4\nthraeds = 5"),
        ('"HSM_AES_GCM"', '"AES"'),
        ('"HSM_AES_GCM"', "7"),
        ('"caller"', '"token"'),
        ("3072", "1024"),
        ("threads = 4", 'threads = 4\nthrottled = ["BUSY"]'),
        ("threads = 4", "threads = 4\nidle_limit_s = -1"),
        ("threads = 4", "threads = 4\niv_len = 17"),
        ("threads = 4", 'threads = 4\nstandard = "FIPS 140-1"'),
        ("threads = 4", "threads = 4\nlevel = 5"),
        ('name = "example"', 'name = "other"'),
        ('["/nowhere/libexample.so"]', "[]"),
        ("session_wait_s = 1.5", "session_wait_s = -1"),
        ("threads = 4", "threads = "),
    ],
)
def test_a_profile_with_a_mistake_is_refused(change):
    with pytest.raises(ConfigError):
        parse_profile(GOOD.replace(*change), name="example")


def test_a_module_that_is_not_installed_is_reported_with_the_places_looked_at():
    with pytest.raises(TokenNotFoundError, match="libexample"):
        parse_profile(GOOD, name="example").find_module()


def test_the_first_module_that_exists_is_taken(tmp_path):
    (tmp_path / "b.so").touch()
    paths = f'["{tmp_path}/a.so", "{tmp_path}/b.so"]'
    profile = parse_profile(GOOD.replace('["/nowhere/libexample.so"]', paths), name="example")
    assert profile.find_module() == f"{tmp_path}/b.so"

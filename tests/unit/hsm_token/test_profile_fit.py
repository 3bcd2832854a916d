"""The search for a change of a profile that fits a token: one that is enough, and no more than is needed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.hsm.token import WRAP_PREFERENCE, load_profile
from strongroom.hsm.token._profile_fit import _OPTIONAL, as_setting, find_fit

GCM, CBC, OAEP = WRAP_PREFERENCE
PROFILE = load_profile("softhsm2")


def changed(changes):
    return msgspec.structs.replace(PROFILE, **changes)


@given(st.sets(st.sampled_from(_OPTIONAL), min_size=1), st.sampled_from(WRAP_PREFERENCE))
def test_just_the_attributes_that_a_token_does_not_know_are_found(unknown, algorithm):
    found = find_fit(PROFILE, algorithm, lambda tried: unknown <= set(changed(tried).unknown_attributes))
    assert set(found["unknown_attributes"]) == unknown
    assert ("replication" in found) == ("CKA_WRAP_WITH_TRUSTED" in unknown)


@pytest.mark.parametrize(
    ("rule", "iv_len"), [("hsm-in-parameter", 12), ("hsm-appended", 16), ("hsm-prepended", 12)]
)
def test_the_iv_rule_is_found(rule, iv_len):
    found = find_fit(
        PROFILE, GCM, lambda tried: (changed(tried).iv_rule, changed(tried).iv_len) == (rule, iv_len)
    )
    assert found == {"iv_rule": rule, "iv_len": iv_len}


@pytest.mark.parametrize("algorithm", WRAP_PREFERENCE)
def test_where_nothing_fits_nothing_is_advised(algorithm):
    assert find_fit(PROFILE, algorithm, lambda _tried: False) is None


def test_advice_is_written_as_it_goes_into_the_configuration():
    changes = {"unknown_attributes": ("CKA_COPYABLE", "CKA_LOCAL"), "iv_len": 16, "session_keys": False}
    assert as_setting(changes) == (
        'profile_changes = { unknown_attributes = ["CKA_COPYABLE", "CKA_LOCAL"], iv_len = 16, session_keys = false }'
    )

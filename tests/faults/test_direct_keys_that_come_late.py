"""A token that lets new keys be used only after a while: a Direct key counts as made once it works (F20)."""

import time

import pytest

from strongroom.core import HsmError, HsmKey, HsmKeyId, KeySpec, KeyUsage, SigningAlgorithm, random_bytes

pytestmark = pytest.mark.softhsm


def a_key(spec):
    return HsmKey(HsmKeyId(random_bytes(16)), spec, max(spec.usages))


@pytest.mark.parametrize("spec", [KeySpec.HMAC_256, KeySpec.ECC_NIST_P256])
def test_a_key_that_comes_within_its_time_is_waited_for(failing, spec):
    failing.open_as(usable_within_s=30.0)
    failing.shim.hide_new_keys(0.3)
    key, began = a_key(spec), time.monotonic()
    failing.token.direct.generate(key, "late", may_leave=False)
    assert time.monotonic() - began > 0.25
    if key.usage is KeyUsage.GENERATE_VERIFY_MAC:
        assert failing.token.direct.mac(key, b"m")
    else:
        assert failing.token.direct.sign(key, SigningAlgorithm.ECDSA_SHA_256, bytes(32))


def test_a_key_that_never_comes_is_told_as_not_made(failing):
    failing.open_as(usable_within_s=0.3)
    failing.shim.hide_new_keys(600)
    key = a_key(KeySpec.HMAC_256)
    with pytest.raises(HsmError):
        failing.token.direct.generate(key, "late", may_leave=False)
    failing.shim.forget_hidden_keys()
    assert not failing.token.direct.holds(key), "what was told as not made does not appear later"

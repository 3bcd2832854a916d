"""A member of a home in FIPS mode refuses what is not approved by itself, whoever asks."""

import pytest

from fixtures_direct_keys import PIN, a_key
from strongroom.core import HsmRequestError, KeySpec, KeyUsage, Secret, SigningAlgorithm
from strongroom.hsm.token import Token, TokenSelector, initialise_token, load_profile

K1, P256 = KeySpec.ECC_SECG_P256K1, KeySpec.ECC_NIST_P256
DIGEST = bytes(32)


def opened(module, *, approved_only):
    return Token.open(
        module,
        TokenSelector(label="fips"),
        PIN,
        profile=load_profile("softhsm2"),
        approved_only=approved_only,
    )


def test_a_token_in_fips_mode_neither_makes_nor_uses_a_key_that_is_not_approved(module):
    initialise_token(module, label="fips", so_pin=Secret(b"12345678"), user_pin=PIN)
    old, good = a_key(K1, KeyUsage.SIGN_VERIFY), a_key(P256, KeyUsage.SIGN_VERIFY)
    token = opened(module, approved_only=False)
    try:
        token.direct.generate(old, "test", may_leave=True)
        token.direct.sign(old, SigningAlgorithm.ECDSA_SHA_256, DIGEST)
    finally:
        token.close()
    token = opened(module, approved_only=True)
    try:
        for refused in (
            lambda: token.direct.generate(a_key(K1, KeyUsage.SIGN_VERIFY), "test", may_leave=True),
            lambda: token.direct.sign(old, SigningAlgorithm.ECDSA_SHA_256, DIGEST),
            lambda: token.direct.sign_work(old, SigningAlgorithm.ECDSA_SHA_256, DIGEST),
        ):
            with pytest.raises(HsmRequestError, match="FIPS mode, and ECC_SECG_P256K1 is not approved"):
                refused()
        token.direct.generate(good, "test", may_leave=True)
        token.direct.sign(good, SigningAlgorithm.ECDSA_SHA_256, DIGEST)
        assert token.direct.holds(old)
        assert token.direct.inspect(old, may_leave=True) == []
        token.direct.destroy(old)
        assert not token.direct.holds(old)
    finally:
        token.close()

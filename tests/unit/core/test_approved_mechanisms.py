"""What is approved in FIPS mode: every name that a key can have is decided, by a standard or by a reason."""

from itertools import chain

import pytest

from strongroom.core import (
    APPROVED_ALGORITHMS,
    APPROVED_SPECS,
    KeySpec,
    MacAlgorithm,
    ManagedKeySpec,
    OaepAlgorithm,
    SigningAlgorithm,
    WrapAlgorithm,
    why_not_approved,
)
from strongroom.keyring import DATA_KEY_PAIR_SPECS, WrappingAlgorithm

SPECS = {str(spec) for spec in chain(ManagedKeySpec, KeySpec, DATA_KEY_PAIR_SPECS)}
ALGORITHMS = {
    str(name) for name in chain(SigningAlgorithm, MacAlgorithm, OaepAlgorithm, WrappingAlgorithm)
} | {algorithm.name for algorithm in WrapAlgorithm}
REFUSED = {"ECC_SECG_P256K1"}


def test_each_spec_and_algorithm_is_decided_and_no_other_stands_in_the_table():
    assert {name for name in SPECS | ALGORITHMS if why_not_approved(name) is not None} == REFUSED
    assert APPROVED_SPECS.keys() == SPECS - REFUSED
    assert APPROVED_ALGORITHMS.keys() == ALGORITHMS


@pytest.mark.parametrize("name", sorted(SPECS | ALGORITHMS))
def test_each_decision_has_its_standard(name):
    words = why_not_approved(name) or {**APPROVED_SPECS, **APPROVED_ALGORITHMS}[name]
    assert any(standard in words for standard in ("FIPS 1", "FIPS 2", "SP 800-"))


@pytest.mark.parametrize("name", ["", "SM2", "RSA_1024", "rsa_2048", "RSASSA_PKCS1_V1_5_SHA_1", "CHACHA20"])
def test_what_nothing_approves_is_refused(name):
    assert why_not_approved(name) == "no standard in force approves it"

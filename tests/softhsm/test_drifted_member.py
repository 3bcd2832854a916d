"""A member whose objects differ from the others' fails as a member; the request is not called wrong."""

import pytest

from fixtures_two_tokens import ROOT_ID, raw_session
from strongroom.core import HsmIntegrityError, MemberFailedError, Secret
from strongroom.hsm.cryptoki import AesKeyGen, Attribute, GenericSecretKeyGen, KeyFunctionNotPermittedError

pytestmark = pytest.mark.softhsm

A = Attribute
KEY, AAD = Secret(b"k" * 32), b"domain 1"


def hold(module, token, mechanism, **attributes):
    """Let the token hold, as the root, a key that is none of ours."""
    template = {A.VALUE_LEN: 32, A.TOKEN: True, A.ID: bytes(ROOT_ID), A.ENCRYPT: True, A.DECRYPT: True}
    template |= {A[name]: value for name, value in attributes.items()}
    module.generate_key(raw_session(module, token), mechanism, template)


def test_a_root_that_may_not_encrypt_or_decrypt_any_more(module, token):
    hold(module, token, AesKeyGen(), ENCRYPT=False)
    with pytest.raises(MemberFailedError) as caught:
        token.wrap(ROOT_ID, KEY, AAD)
    assert caught.value.ckr == KeyFunctionNotPermittedError.code
    assert not token.is_broken


def test_a_root_that_is_no_aes_key(module, token):
    hold(module, token, GenericSecretKeyGen())
    with pytest.raises(MemberFailedError):
        token.wrap(ROOT_ID, KEY, AAD)


def test_a_root_held_twice(module, token):
    for _ in range(2):
        hold(module, token, AesKeyGen())
    for call in (lambda: token.has_root(ROOT_ID), lambda: token.wrap(ROOT_ID, KEY, AAD)):
        with pytest.raises(MemberFailedError, match="more than one"):
            call()


def test_a_blob_that_was_changed_is_nobodys_fault_but_its_own(module, token):
    token.generate_root(ROOT_ID, "root")
    wrapped = token.wrap(ROOT_ID, KEY, AAD)
    with pytest.raises(HsmIntegrityError):
        token.unwrap(ROOT_ID, wrapped._replace(tag=bytes(16)), AAD)

"""A root is destroyed for certain, with every object that it is made of, and nothing else of the same name with it."""

import pytest

from fixtures_transport import joined
from fixtures_two_tokens import PROFILE, ROOT_ID, new_token, opened, raw_session
from strongroom.core import (
    HsmKey,
    HsmKeyId,
    HsmKeyNotFoundError,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    Secret,
    TransportKind,
    WrapAlgorithm,
)
from strongroom.hsm.cryptoki import AesKeyGen, Attribute
from strongroom.hsm.token import Role, Token, TokenSelector

pytestmark = pytest.mark.softhsm

A = Attribute


@pytest.mark.parametrize(
    "algorithm",
    [WrapAlgorithm.HSM_AES_GCM, WrapAlgorithm.HSM_AES_CBC_HMAC, WrapAlgorithm.HSM_RSA_OAEP],
    ids=lambda algorithm: algorithm.name,
)
def test_a_root_of_every_algorithm_is_destroyed_whole_and_its_neighbour_works_on(module, algorithm):
    from fixtures_two_tokens import PIN

    token = Token.open(
        module, TokenSelector(label=new_token(module)), PIN, profile=PROFILE, wrap_algorithm=algorithm
    )
    other = ROOT_ID[::-1]
    for root_id in (ROOT_ID, other):
        token.generate_root(root_id, "root")
    sealed = token.wrap(other, Secret(b"a domain KEK"), b"aad")
    token.wrap(ROOT_ID, Secret(b"another"), b"aad")  # its handles are in the cache
    token.destroy_root(ROOT_ID)
    assert not token.has_root(ROOT_ID)
    with pytest.raises(HsmKeyNotFoundError):
        token.wrap(ROOT_ID, Secret(b"another"), b"aad")
    with pytest.raises(HsmKeyNotFoundError, match="root with CKA_ID"):
        token.destroy_root(ROOT_ID)
    assert token.unwrap(other, sealed, b"aad").reveal() == b"a domain KEK"
    token.close()


def test_a_root_that_came_from_another_token_is_destroyed_too(module):
    pair = joined(module, (TransportKind.AES,))
    check = pair.alpha.generate_root(ROOT_ID, "root")
    transport_id = pair.names[TransportKind.AES]
    wrapped = pair.alpha.transport.wrap_out(ROOT_ID, TransportKind.AES, transport_id=transport_id)
    pair.beta.transport.take_in_root(
        ROOT_ID, "root", transport_id=transport_id, wrapped=wrapped, expected=check
    )
    pair.beta.destroy_root(ROOT_ID)
    assert pair.alpha.has_root(ROOT_ID)
    assert not pair.beta.has_root(ROOT_ID)
    assert [found.cka_id for found in pair.beta.list_objects()] == [transport_id]
    pair.close()


def test_what_is_no_root_stays_though_it_has_the_same_name(module, token):
    key = HsmKey(HsmKeyId(bytes(ROOT_ID)), KeySpec.AES_256, KeyUsage.ENCRYPT_DECRYPT)
    token.direct.generate(key, "of somebody", may_leave=True)
    session = raw_session(module, token)
    module.generate_key(
        session, AesKeyGen(), {A.VALUE_LEN: 32, A.TOKEN: True, A.ID: bytes(ROOT_ID), A.ENCRYPT: False}
    )
    with pytest.raises(HsmKeyNotFoundError):
        token.destroy_root(ROOT_ID)
    assert len(token.list_objects()) == 2
    assert token.direct.holds(key)


def test_the_security_officer_cannot_destroy_a_root(module):
    officer = opened(module, new_token(module), Role.SECURITY_OFFICER)
    with pytest.raises(HsmRequestError, match="user"):
        officer.destroy_root(ROOT_ID)
    officer.close()

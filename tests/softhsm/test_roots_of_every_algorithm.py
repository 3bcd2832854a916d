"""Roots of every wrap algorithm on real SoftHSM tokens: what they open, what they refuse, and how they travel."""

import msgspec
import pytest

from fixtures_two_tokens import PIN, PROFILE, SO_PIN, new_token, raw_session
from strongroom.core import (
    HsmError,
    HsmIntegrityError,
    HsmRequestError,
    MemberFailedError,
    RootId,
    Secret,
    random_bytes,
)
from strongroom.hsm import cryptoki
from strongroom.hsm.cryptoki import AesCbc, Attribute, Hmac
from strongroom.hsm.token import WRAP_PREFERENCE, Role, Token, TokenSelector

pytestmark = pytest.mark.softhsm

GCM, CBC, OAEP = WRAP_PREFERENCE
KEY, AAD = Secret(b"k" * 32), b"domain 1, version 1"
every_algorithm = pytest.mark.parametrize("algorithm", WRAP_PREFERENCE, ids=lambda one: one.name)


@pytest.fixture
def open_token(module):
    opened = []

    def open_one(label=None, algorithm=None, role=Role.USER, **changes):
        pin = PIN if role is Role.USER else SO_PIN
        profile = msgspec.structs.replace(PROFILE, **changes)
        selector = TokenSelector(label=label or new_token(module))
        token = Token.open(module, selector, pin, profile=profile, role=role, wrap_algorithm=algorithm)
        opened.append(token)
        return token

    yield open_one
    for token in opened:
        token.close()


@every_algorithm
def test_what_a_root_wrapped_opens_again_and_nowhere_else(open_token, algorithm):
    token = open_token(algorithm=algorithm)
    root_id, other = RootId(random_bytes(16)), RootId(random_bytes(16))
    made = token.generate_root(root_id, "root")
    token.generate_root(other, "another root")
    wrapped = token.wrap(root_id, KEY, AAD)
    assert wrapped.algorithm is token.wrap_algorithm is algorithm
    assert token.unwrap(root_id, wrapped, AAD).matches(KEY)
    assert token.wrap(root_id, KEY, AAD) != wrapped
    assert token.root_check_value(root_id) == made != token.root_check_value(other)
    for elsewhere in ((other, AAD), (root_id, AAD + b"x"), (root_id, b"")):
        with pytest.raises(HsmIntegrityError):
            token.unwrap(elsewhere[0], wrapped, elsewhere[1])
    assert not token.is_broken


@every_algorithm
def test_another_cluster_s_wrap_algorithm_is_refused(open_token, algorithm):
    label = new_token_of(open_token)
    token = open_token(label, algorithm)
    root_id = RootId(random_bytes(16))
    token.generate_root(root_id, "root")
    wrapped = token.wrap(root_id, KEY, AAD)
    token.close()
    wrong = open_token(label, next(other for other in WRAP_PREFERENCE if other is not algorithm))
    with pytest.raises(HsmRequestError, match="unwraps"):
        wrong.unwrap(root_id, wrapped, AAD)


def new_token_of(open_token):
    return open_token().identity.label


def test_a_root_of_two_keys_gives_each_one_purpose(module, open_token):
    token = open_token(algorithm=CBC)
    root_id = RootId(random_bytes(16))
    token.generate_root(root_id, "root")
    session = raw_session(module, token)
    (cipher_key,) = module.find_objects(session, {Attribute.ID: bytes(root_id)})
    (mac_key,) = module.find_objects(session, {Attribute.ID: bytes(root_id) + b"mac"})
    with pytest.raises(cryptoki.CryptokiError):
        module.sign(session, Hmac(256), cipher_key, b"data")
    with pytest.raises(cryptoki.CryptokiError):
        module.encrypt(session, AesCbc(bytes(16)), mac_key, bytes(16))
    names = (Attribute.SENSITIVE, Attribute.WRAP_WITH_TRUSTED, Attribute.PRIVATE, Attribute.VALUE)
    for key in (cipher_key, mac_key):
        sealed = {Attribute.SENSITIVE: True, Attribute.WRAP_WITH_TRUSTED: True, Attribute.PRIVATE: True}
        assert module.get_attributes(session, key, names) == sealed


@pytest.mark.parametrize("lost", [b"", b"mac"])
def test_half_a_root_is_no_root_and_is_not_made_whole_by_accident(module, open_token, lost):
    token = open_token(algorithm=CBC)
    root_id = RootId(random_bytes(16))
    token.generate_root(root_id, "root")
    session = raw_session(module, token)
    (handle,) = module.find_objects(session, {Attribute.ID: bytes(root_id) + lost})
    module.destroy_object(session, handle)
    with pytest.raises(MemberFailedError, match="1 of the 2"):
        token.has_root(root_id)
    with pytest.raises(HsmRequestError, match="already holds"):
        token.generate_root(root_id, "root")


def test_both_keys_of_a_root_travel_by_trusted_wrapping(open_token):
    source_label = new_token_of(open_token)
    source, target = open_token(source_label, CBC), open_token(algorithm=CBC)
    root_id = RootId(random_bytes(16))
    made = source.generate_root(root_id, "root")
    spki = target.generate_import_pair(b"import pair", "import")
    source.close()
    officer = open_token(source_label, role=Role.SECURITY_OFFICER)
    officer.import_trusted_public(b"target", "target's import key", spki)
    officer.close()
    source = open_token(source_label, CBC)
    wrapped = source.wrap_out_root(root_id, wrapping_cka_id=b"target")
    taking = {"import_cka_id": b"import pair", "expected": made}
    halves = wrapped[: len(wrapped) // 2], wrapped[len(wrapped) // 2 :]
    for damaged in (halves[1] + halves[0], halves[0], wrapped[:-1], halves[0] * 2):
        with pytest.raises((HsmError, MemberFailedError)):
            target.unwrap_in_root(root_id, "root", wrapped=damaged, **taking)
        assert not target.has_root(root_id)
    assert target.unwrap_in_root(root_id, "root", wrapped=wrapped, **taking) == made
    assert target.unwrap(root_id, source.wrap(root_id, KEY, AAD), AAD).matches(KEY)
    assert source.unwrap(root_id, target.wrap(root_id, KEY, AAD), AAD).matches(KEY)


@pytest.mark.parametrize("changes", [{"algorithm": OAEP}, {"replication": "none"}, {"replication": "vendor"}])
def test_a_root_that_does_not_travel_says_so(open_token, changes):
    token = open_token(**changes)
    with pytest.raises(HsmRequestError, match=r"cannot be copied|not extractable"):
        token.wrap_out_root(RootId(random_bytes(16)), wrapping_cka_id=b"any")
    with pytest.raises(HsmRequestError, match=r"cannot be copied|not extractable"):
        token.generate_import_pair(b"pair", "import")


@every_algorithm
def test_a_root_that_stays_is_not_extractable(module, open_token, algorithm):
    token = open_token(algorithm=algorithm, replication="none")
    root_id = RootId(random_bytes(16))
    token.generate_root(root_id, "root")
    session = raw_session(module, token)
    secrets = [
        handle
        for handle in module.find_objects(session, {Attribute.TOKEN: True, Attribute.LABEL: "root"})
        if Attribute.SENSITIVE in module.get_attributes(session, handle, (Attribute.SENSITIVE,))
    ]
    assert len(secrets) == (2 if algorithm is CBC else 1)
    wanted = {Attribute.EXTRACTABLE: False, Attribute.NEVER_EXTRACTABLE: True, Attribute.SENSITIVE: True}
    for handle in secrets:
        assert module.get_attributes(session, handle, tuple(wanted)) == wanted


@pytest.mark.parametrize(
    ("algorithm", "length", "is_taken"),
    [(GCM, 4096, True), (CBC, 4096, True), (CBC, 4097, False), (OAEP, 310, True), (OAEP, 311, False)],
)
def test_as_much_is_wrapped_as_the_algorithm_takes(open_token, algorithm, length, is_taken):
    token = open_token(algorithm=algorithm)
    root_id = RootId(random_bytes(16))
    token.generate_root(root_id, "root")
    secret = Secret(random_bytes(length))
    if not is_taken:
        with pytest.raises(HsmRequestError, match="are taken"):
            token.wrap(root_id, secret, AAD)
        return
    assert token.unwrap(root_id, token.wrap(root_id, secret, AAD), AAD).matches(secret)

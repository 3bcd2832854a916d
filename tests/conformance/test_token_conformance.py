"""One set of tests for ``hsm.token.Token`` on five kinds of token. What one cannot do is in ``tokens.capabilities``."""

from pathlib import Path

import pytest

from strongroom.core import (
    HsmIntegrityError,
    HsmKey,
    HsmKeyId,
    HsmKeyNotFoundError,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    PinRefusedError,
    RootId,
    Secret,
    TokenNotFoundError,
    WrapAlgorithm,
    random_bytes,
    root_object_ids,
)
from strongroom.hsm.cryptoki import AesKeyGen, AesKeyWrap, Attribute, CryptokiError
from strongroom.hsm.token import Role, TokenSelector
from tokens.capabilities import CANNOT, FEATURES, KINDS, ShortcomingError, if_capable, render
from tokens.remote_token import TokenProcess

A, KEY, AAD = Attribute, Secret(bytes(range(32))), b"domain 1, version 1"
PAGE = Path(__file__).parents[2] / "docs" / "token-conformance.md"
SLOW_SPECS = {KeySpec.RSA_2048, KeySpec.RSA_3072, KeySpec.RSA_4096}


def spoilt(wrapped):
    text = bytearray(wrapped.ciphertext)
    text[0] ^= 1
    return wrapped._replace(ciphertext=bytes(text))


@pytest.fixture
def a_process(subject):
    """Another process on the same token, not open yet."""
    with TokenProcess(subject.process.started) as process:
        yield process


def test_what_was_wrapped_unwraps_and_what_was_changed_does_not(subject):
    wrapped = subject.token.wrap(subject.root_id, KEY, AAD)
    assert subject.token.unwrap(subject.root_id, wrapped, AAD).matches(KEY)
    for changed, aad in ((spoilt(wrapped), AAD), (wrapped, AAD + b"!")):
        with pytest.raises(HsmIntegrityError):
            subject.token.unwrap(subject.root_id, changed, aad)
    assert subject.token.unwrap(subject.root_id, wrapped, AAD).matches(KEY)


@pytest.mark.parametrize("n_bytes", [1, 15, 16, 17, 31, 32, 33, 64, 255])
def test_keys_of_any_length_come_back_as_they_were(subject, n_bytes):
    key = Secret(random_bytes(n_bytes))
    assert subject.token.unwrap(subject.root_id, subject.token.wrap(subject.root_id, key, AAD), AAD).matches(
        key
    )


def test_long_keys(subject):
    with if_capable(subject.kind, "long keys"):
        key = Secret(random_bytes(4096))
        wrapped = subject.token.wrap(subject.root_id, key, bytes(8192))
        assert subject.token.unwrap(subject.root_id, wrapped, bytes(8192)).matches(key)


def test_no_two_wraps_are_alike(subject):
    wrapped = [subject.token.wrap(subject.root_id, KEY, AAD) for _ in range(20)]
    assert len({item.ciphertext for item in wrapped}) == 20


@pytest.mark.parametrize(
    "algorithm",
    [
        WrapAlgorithm.HSM_AES_GCM,
        WrapAlgorithm.HSM_AES_CBC_HMAC,
        pytest.param(WrapAlgorithm.HSM_RSA_OAEP, marks=pytest.mark.slow),
    ],
    ids=lambda algorithm: algorithm.name,
)
def test_wrap_algorithms(subject, algorithm):
    with if_capable(subject.kind, algorithm.name):
        subject.process.call("token._self_test.prove", algorithm)


def test_its_profile_is_right_on_the_token_itself(subject):
    subject.token.prove_profile()


def test_roots_are_made_listed_and_of_one_name_each(subject):
    with if_capable(subject.kind, "roots"):
        root_id = RootId(random_bytes(16))
        assert not subject.token.has_root(root_id)
        with pytest.raises(HsmKeyNotFoundError):
            subject.token.wrap(root_id, KEY, AAD)
        made = subject.token.generate_root(root_id, "another root")
        assert subject.token.has_root(root_id)
        assert subject.token.root_check_value(root_id) == made
        assert made != subject.token.root_check_value(subject.root_id)
        ids = [item.cka_id for item in subject.token.list_objects() if not item.is_ghost]
        assert set(root_object_ids(root_id, subject.process.call("token.wrap_algorithm"))) <= set(ids)
        with pytest.raises(HsmRequestError):
            subject.token.generate_root(root_id, "again")
        other = subject.token.wrap(subject.root_id, KEY, AAD)
        with pytest.raises(HsmIntegrityError):
            subject.token.unwrap(root_id, other, AAD)


def test_it_is_opened_by_its_serial_number(subject, a_process):
    with if_capable(subject.kind, "serial"):
        a_process.open(selector=TokenSelector(serial=subject.process.call("token.identity").serial))
        assert a_process.token.has_root(subject.root_id)


def test_it_is_opened_by_its_label(subject, a_process):
    with if_capable(subject.kind, "label"):
        a_process.open(selector=TokenSelector(label=subject.process.started.label))
        wrapped = subject.token.wrap(subject.root_id, KEY, AAD)
        assert a_process.token.unwrap(subject.root_id, wrapped, AAD).matches(KEY)


def test_a_token_that_is_not_there_is_told_with_what_is(subject, a_process):
    with pytest.raises(TokenNotFoundError, match="no tokens have"):
        a_process.open(selector=TokenSelector(label="nobody's"))


def test_a_wrong_pin_is_refused_as_such(subject, a_process):
    with pytest.raises(PinRefusedError):
        a_process.open(pin=b"not-it-1")
    a_process.open()  # clears the token's counter
    assert a_process.token.has_root(subject.root_id)


def test_random_bytes(subject):
    with if_capable(subject.kind, "random"):
        drawn = {subject.token.random(32).reveal() for _ in range(20)}
        assert len(drawn) == 20
        assert len(subject.token.random(1024)) == 1024


def test_it_serves_again_when_every_session_was_closed(subject):
    wrapped = subject.token.wrap(subject.root_id, KEY, AAD)
    with if_capable(subject.kind, "session loss"):
        subject.module.close_all_sessions(subject.slot())
        assert subject.token.unwrap(subject.root_id, wrapped, AAD).matches(KEY)
        subject.module.close_all_sessions(subject.slot())
        assert subject.token.has_root(subject.root_id)


def test_it_serves_again_after_finalising_and_initialising(subject):
    wrapped = subject.token.wrap(subject.root_id, KEY, AAD)
    with if_capable(subject.kind, "restart"):
        subject.process.reopen()
        assert subject.token.unwrap(subject.root_id, wrapped, AAD).matches(KEY)


def _aes_key(subject, session, **more):
    template = {A.VALUE_LEN: 32, A.TOKEN: False, A.WRAP: True, A.UNWRAP: True}
    return subject.module.generate_key(
        session, AesKeyGen(), template | {A[name]: item for name, item in more.items()}
    )


def test_a_user_cannot_wrap_a_root_out(subject):
    with if_capable(subject.kind, "sealed"):
        session = subject.raw_session()
        root = subject.module.find_objects(session, {A.ID: subject.root_id})[0]
        try:
            mine = _aes_key(subject, session)
            subject.module.wrap_key(session, AesKeyWrap(), wrapping_key=mine, key=root)
        except CryptokiError:
            return
        finally:
            subject.module.close_session(session)
        raise ShortcomingError("a root left under a key that its user had just made")


def test_a_user_cannot_trust_a_key(subject):
    with if_capable(subject.kind, "trust"):
        session = subject.raw_session()
        try:
            _aes_key(subject, session, TRUSTED=True)
        except CryptokiError:
            return
        finally:
            subject.module.close_session(session)
        raise ShortcomingError("the user made a trusted key")


def test_a_root_travels_under_a_trusted_key_and_is_the_same_root(subject, a_process):
    with if_capable(subject.kind, "travel"):
        pair = random_bytes(16)
        spki_der = subject.token.generate_import_pair(pair, "pair")
        trusted, arrived = random_bytes(16), RootId(random_bytes(16))
        subject.process.call("finalize")
        try:
            a_process.open(role=Role.SECURITY_OFFICER)
            a_process.token.import_trusted_public(trusted, "trusted", spki_der)
        finally:
            a_process.call("finalize")
            subject.process.load()
            subject.process.open()
        expected = subject.token.root_check_value(subject.root_id)
        on_the_way = subject.token.wrap_out_root(subject.root_id, wrapping_cka_id=trusted)
        subject.token.unwrap_in_root(
            arrived, "arrived", import_cka_id=pair, wrapped=on_the_way, expected=expected
        )
        wrapped = subject.token.wrap(subject.root_id, KEY, AAD)
        assert subject.token.unwrap(arrived, wrapped, AAD).matches(KEY)
        subject.token.destroy_import_pair(pair)
        subject.token.destroy_trusted_public(trusted)


def test_the_pair_of_a_backup_set_opens_with_its_share_key_alone(subject):
    share_key, other = Secret(random_bytes(32)), Secret(random_bytes(32))
    offer = random_bytes(16)
    with if_capable(subject.kind, "backup pair"):
        transport = subject.token.transport
        made = transport.make_backup_pair(share_key)
        with pytest.raises(HsmIntegrityError):
            transport.offer_backup(offer, other, made.wrapped_private, mechanism=made.mechanism)
        opened = transport.offer_backup(offer, share_key, made.wrapped_private, mechanism=made.mechanism)
        transport.end_offer(offer)
        assert opened.spki_der == made.spki_der


@pytest.mark.parametrize(
    "spec",
    [pytest.param(spec, marks=pytest.mark.slow) if spec in SLOW_SPECS else spec for spec in KeySpec],
)
def test_direct_keys_are_made_proved_used_and_destroyed(subject, spec):
    with if_capable(subject.kind, f"direct {spec.value}"):
        usage = max(spec.usages)
        key = HsmKey(HsmKeyId(random_bytes(16)), spec, usage)
        subject.token.direct.generate(key, "direct", may_leave=False)
        try:
            assert subject.token.direct.holds(key)
            assert key.key_id in {item.cka_id for item in subject.token.direct.inventory()}
            if usage is KeyUsage.GENERATE_VERIFY_MAC:
                macs = {subject.token.direct.mac(key, b"message") for _ in range(2)}
                assert len(macs) == 1
            with pytest.raises(HsmRequestError):
                subject.token.direct.generate(key, "again", may_leave=False)
        finally:
            subject.token.direct.destroy(key)
        assert not subject.token.direct.holds(key)
        with pytest.raises(HsmKeyNotFoundError):
            subject.token.direct.destroy(key)


def test_the_page_in_the_docs_is_the_table():
    assert PAGE.read_text() == render(), (
        "write it anew: .venv/bin/python -m tokens.capabilities, in the folder tests"
    )


def test_the_table_names_kinds_and_features_that_there_are():
    assert CANNOT.keys() == KINDS.keys()
    assert all(cannot.keys() <= FEATURES.keys() for cannot in CANNOT.values())

"""``hsm.token`` on real SoftHSM tokens."""

import shutil
from itertools import count

import pytest

from fixtures_token import softhsm_module
from strongroom.core import (
    HsmIntegrityError,
    HsmKeyNotFoundError,
    HsmRequestError,
    MemberFailedError,
    PinRefusedError,
    RootId,
    Secret,
    TokenNotFoundError,
    random_bytes,
)
from strongroom.hsm import cryptoki
from strongroom.hsm.cryptoki import AesGcm, AesKeyGen, Attribute, KeyType, ObjectClass, RsaKeyPairGen, RsaOaep
from strongroom.hsm.token import (
    KeyCheckValue,
    Role,
    Token,
    TokenSelector,
    initialise_token,
    load_profile,
)

pytestmark = pytest.mark.softhsm

PIN, SO_PIN = Secret(b"1234"), Secret(b"12345678")
PROFILE = load_profile("softhsm2")
ANY_CHECK_VALUE = KeyCheckValue("CKA_CHECK_VALUE", "000000")
KEY, AAD = Secret(b"k" * 32), b"domain 1, version 1"
_numbers = count(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("softhsm")


@pytest.fixture(scope="module")
def module(folder):
    with softhsm_module(folder) as loaded:
        yield loaded


@pytest.fixture
def new_label(module):
    """Initialise a token under a fresh label each time it is called."""

    def make():
        label = f"token-{next(_numbers)}"
        initialise_token(module, label=label, so_pin=SO_PIN, user_pin=PIN)
        return label

    return make


@pytest.fixture
def open_token(module):
    opened = []

    def open_one(label, *, role=Role.USER, pin=None):
        pin = pin or (PIN if role is Role.USER else SO_PIN)
        opened.append(Token.open(module, TokenSelector(label=label), pin, profile=PROFILE, role=role))
        return opened[-1]

    yield open_one
    for token in opened:
        token.close()


@pytest.fixture
def token(new_label, open_token):
    return open_token(new_label())


@pytest.fixture
def root_id():
    return RootId(random_bytes(16))


def slot_of(module, token):
    return next(slot for slot in module.slots() if module.token_info(slot).serial == token.identity.serial)


def raw_session(module, token):
    return module.open_session(slot_of(module, token))


def handle_of(module, session, cka_id, object_class=ObjectClass.SECRET_KEY):
    (handle,) = module.find_objects(session, {Attribute.ID: cka_id, Attribute.CLASS: object_class})
    return handle


def test_a_root_is_replicated_without_ever_being_in_clear(new_label, open_token, root_id):
    source_label, target = new_label(), open_token(new_label())
    source = open_token(source_label)
    made = source.generate_root(root_id, "root")
    spki = target.generate_import_pair(b"import pair", "import")
    source.close()

    officer = open_token(source_label, role=Role.SECURITY_OFFICER)
    officer.import_trusted_public(b"target", "target's import key", spki)
    officer.close()

    source = open_token(source_label)
    wrapped = source.wrap_out_root(root_id, wrapping_cka_id=b"target")
    taken_in = target.unwrap_in_root(
        root_id, "root", import_cka_id=b"import pair", wrapped=wrapped, expected=made
    )

    assert made == taken_in == target.root_check_value(root_id)
    challenge = Secret(random_bytes(32))
    assert target.unwrap(root_id, source.wrap(root_id, challenge, AAD), AAD).matches(challenge)
    assert source.unwrap(root_id, target.wrap(root_id, challenge, AAD), AAD).matches(challenge)
    with pytest.raises(HsmRequestError, match="already holds"):
        target.unwrap_in_root(root_id, "root", import_cka_id=b"import pair", wrapped=wrapped, expected=made)


@pytest.mark.parametrize("damage", [b"", b"short", b"\xff" * 384])
def test_a_damaged_wrapped_root_is_refused_and_leaves_nothing(token, root_id, damage):
    token.generate_import_pair(b"import pair", "import")
    with pytest.raises((HsmRequestError, MemberFailedError)):
        token.unwrap_in_root(
            root_id, "root", import_cka_id=b"import pair", wrapped=damage, expected=ANY_CHECK_VALUE
        )
    assert not token.has_root(root_id)
    assert not token.is_broken
    assert {found.object_class for found in token.list_objects()} == {"public_key", "private_key"}


def test_the_user_cannot_take_the_root_out(module, token, root_id):
    token.generate_root(root_id, "root")
    session = raw_session(module, token)
    root = handle_of(module, session, root_id)
    assert Attribute.VALUE not in module.get_attributes(session, root, (Attribute.VALUE,))
    public, _ = module.generate_key_pair(
        session,
        RsaKeyPairGen(),
        public={
            Attribute.MODULUS_BITS: 2048,
            Attribute.WRAP: True,
            Attribute.TOKEN: True,
            Attribute.ID: b"mine",
        },
        private={Attribute.UNWRAP: True},
    )
    with pytest.raises(cryptoki.KeyNotWrappableError):
        module.wrap_key(session, RsaOaep(cryptoki.HashAlgorithm.SHA1), wrapping_key=public, key=root)
    with pytest.raises(HsmRequestError, match="not trusted"):
        token.wrap_out_root(root_id, wrapping_cka_id=b"mine")
    with pytest.raises(cryptoki.CryptokiError):
        module.set_attributes(session, public, {Attribute.TRUSTED: True})
    for name, value in (
        (Attribute.SENSITIVE, False),
        (Attribute.WRAP_WITH_TRUSTED, False),
        (Attribute.WRAP, True),
        (Attribute.MODIFIABLE, True),
    ):
        with pytest.raises(cryptoki.CryptokiError):
            module.set_attributes(session, root, {name: value})
    with pytest.raises(cryptoki.CryptokiError):
        module.copy_object(session, root, {Attribute.WRAP: True})
    module.close_session(session)


def test_the_user_cannot_make_a_trusted_key(module, token):
    with pytest.raises(HsmRequestError, match="security officer"):
        token.import_trusted_public(b"x", "x", b"")
    session = raw_session(module, token)
    with pytest.raises(cryptoki.CryptokiError):
        module.generate_key(
            session,
            AesKeyGen(),
            {
                Attribute.CLASS: ObjectClass.SECRET_KEY,
                Attribute.KEY_TYPE: KeyType.AES,
                Attribute.VALUE_LEN: 32,
                Attribute.TRUSTED: True,
                Attribute.WRAP: True,
            },
        )
    module.close_session(session)


def test_the_import_key_unwraps_and_does_nothing_else(module, token):
    token.generate_import_pair(b"pair", "pair")
    session = raw_session(module, token)
    private = handle_of(module, session, b"pair", ObjectClass.PRIVATE_KEY)
    with pytest.raises(cryptoki.CryptokiError):
        module.decrypt(session, RsaOaep(cryptoki.HashAlgorithm.SHA1), private, bytes(384))
    with pytest.raises(cryptoki.CryptokiError):
        module.sign(session, cryptoki.RsaPkcs(), private, b"data")
    module.close_session(session)


def test_a_wrong_pin_is_tried_once_and_the_right_one_still_works(module, new_label, open_token):
    label = new_label()
    tries, login = [], module.login

    def counted(*arguments):
        tries.append(arguments)
        return login(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(module), "login", lambda _self, *arguments: counted(*arguments))
        with pytest.raises(PinRefusedError) as caught:
            open_token(label, pin=Secret(b"4321"))
    assert len(tries) == 1
    assert caught.value.ckr == cryptoki.PinIncorrectError.code
    assert caught.value.next_step
    open_token(label).random(8)


def test_an_absent_token_is_reported_with_those_that_are_there(new_label, open_token):
    label = new_label()
    with pytest.raises(TokenNotFoundError, match=label):
        open_token("absent")


def test_two_tokens_of_one_label_are_refused_until_the_serial_number_is_given(module, new_label, open_token):
    label = new_label()
    with pytest.raises(HsmRequestError, match="exists"):
        initialise_token(module, label=label, so_pin=SO_PIN, user_pin=PIN)
    empty = next(slot for slot in module.slots() if not module.token_info(slot).label)
    module.init_token(empty, SO_PIN.reveal(), label)
    with pytest.raises(TokenNotFoundError, match="2 tokens"):
        open_token(label)
    serial = next(
        info.serial
        for info in map(module.token_info, module.slots())
        if info.label == label and cryptoki.TokenFlag.USER_PIN_INITIALIZED in info.flags
    )
    token = Token.open(module, TokenSelector(serial=serial), PIN, profile=PROFILE)
    assert token.identity.serial == serial
    token.close()


@pytest.mark.parametrize("field", ["iv", "ciphertext", "tag"])
def test_a_changed_blob_is_an_integrity_error(token, root_id, field):
    token.generate_root(root_id, "root")
    wrapped = token.wrap(root_id, KEY, AAD)
    value = bytearray(getattr(wrapped, field))
    value[-1] ^= 1
    with pytest.raises(HsmIntegrityError):
        token.unwrap(root_id, wrapped._replace(**{field: bytes(value)}), AAD)
    with pytest.raises(HsmIntegrityError):
        token.unwrap(root_id, wrapped, AAD[:-1])
    assert not token.is_broken
    assert token.unwrap(root_id, wrapped, AAD).matches(KEY)


@pytest.mark.parametrize("n_bytes", [1, 16, 32, 4096])
@pytest.mark.parametrize("aad", [b"", bytes(8192)])
def test_every_allowed_size_goes_through(token, root_id, n_bytes, aad):
    token.generate_root(root_id, "root")
    key = Secret(random_bytes(n_bytes))
    assert token.unwrap(root_id, token.wrap(root_id, key, aad), aad).matches(key)


def test_sessions_that_are_closed_under_us_heal(module, token, root_id):
    token.generate_root(root_id, "root")
    wrapped = token.wrap(root_id, KEY, AAD)
    for idle in tuple(token._pool._idle):
        module.close_session(idle.session)
    assert token.unwrap(root_id, wrapped, AAD).matches(KEY)
    assert not token.is_broken


def test_losing_every_session_and_so_the_login_costs_a_login(module, token, root_id):
    token.generate_root(root_id, "root")
    wrapped = token.wrap(root_id, KEY, AAD)
    module.close_all_sessions(slot_of(module, token))
    assert token.unwrap(root_id, wrapped, AAD).matches(KEY)
    assert (token.recoveries.logins, token.recoveries.reinitialisations) == (1, 0)
    assert not token.is_broken


def test_a_stuck_operation_costs_one_session(module, token, root_id):
    token.generate_root(root_id, "root")
    ((session, _since),) = token._pool._idle
    built = AesGcm(bytes(12)).build()  # all of it must live during the call
    assert module._c_encrypt_init(session, built[0], handle_of(module, session, root_id)) == 0
    token.wrap(root_id, KEY, AAD)
    assert not token.is_broken
    assert session not in {idle.session for idle in token._pool._idle}


@pytest.mark.parametrize(("n_bytes", "is_listed"), [(0, False), (52, True), (200, False)])
def test_a_half_written_object_is_at_most_a_ghost_and_harms_nothing(
    folder, tmp_path, token, root_id, n_bytes, is_listed
):
    token.generate_root(root_id, "root")
    wrapped = token.wrap(root_id, KEY, AAD)
    # SoftHSM reads the directory when it starts, so the ghost goes into a copy that another one starts with.
    shutil.copytree(folder / "tokens", tmp_path / "tokens")
    for written in (tmp_path / "tokens").glob("*/*-*.object"):
        (written.parent / "00000000-0000-0000-0000-000000000000.object").write_bytes(
            written.read_bytes()[:n_bytes]
        )
    with softhsm_module(tmp_path) as module:
        selector = TokenSelector(serial=token.identity.serial)
        survivor = Token.open(module, selector, PIN, profile=PROFILE)
        assert [found.is_ghost for found in survivor.list_objects()].count(True) == is_listed
        assert survivor.unwrap(root_id, wrapped, AAD).matches(KEY)
        survivor.close()


def test_a_root_made_by_one_is_no_root_of_another(token, root_id):
    assert not token.has_root(root_id)
    with pytest.raises(HsmKeyNotFoundError):
        token.wrap(root_id, KEY, AAD)


def test_random_has_the_size_asked_for(token):
    assert len(token.random(1024)) == 1024

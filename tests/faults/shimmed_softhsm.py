"""SoftHSM behind a fault shim in this process, as fixtures of the folder, and what its tests do with keys."""

import pytest

from faults.fault_shim import FaultShim
from fixtures_softhsm import SofthsmTokens, make_softhsm_env, softhsm_library
from strongroom.hsm.cryptoki import AesGcm, AesKeyGen, Attribute, Module, UserType

A, IV, DATA = Attribute, bytes(range(12)), b"sixteen bytes..!"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    env = make_softhsm_env(folder)
    with pytest.MonkeyPatch.context() as patch, FaultShim(folder / "shim", softhsm_library()) as shim:
        patch.setenv("SOFTHSM2_CONF", str(env.conf))
        shim.module_loaded = Module.load(str(shim.library))
        shim.tokens = SofthsmTokens(shim.module_loaded, env)
        yield shim
        shim.heal()
        shim.module_loaded.finalize()


@pytest.fixture
def shim(shared):
    yield shared
    shared.heal()


@pytest.fixture
def module(shim):
    return shim.module_loaded


@pytest.fixture
def token(shim, module):
    made = shim.tokens.new()
    yield made
    shim.heal()
    module.close_all_sessions(slot_of(module, made))


@pytest.fixture
def session(module, token):
    session = module.open_session(token.slot)
    module.login(session, UserType.USER, token.user_pin)
    return session


def slot_of(module, token):
    return next(slot for slot in module.slots() if module.token_info(slot).label == token.label)


@pytest.fixture
def key(module, session):
    return make_key(module, session)


def make_key(module, session, cka_id=b"key"):
    template = {
        A.VALUE_LEN: 32,
        A.TOKEN: True,
        A.PRIVATE: True,
        A.ENCRYPT: True,
        A.DECRYPT: True,
        A.ID: cka_id,
    }
    return module.generate_key(session, AesKeyGen(), template)


def encrypted(module, session, key, iv=IV):
    return module.encrypt(session, AesGcm(iv, b"aad"), key, DATA)

"""``TokenPerformer``: the gate stands before what changes keys, and failures hold no secrets."""

import pytest

from fixtures_token import AAD, KEY, ROOT, FakeModule, open_token
from strongroom.core import (
    ApprovalRequiredError,
    ClosedGate,
    HsmIntegrityError,
    HsmKeyNotFoundError,
    HsmRequestError,
    StrongroomError,
)
from strongroom.hsm import cryptoki
from strongroom.hsm.wire import (
    DestroyImportPair,
    DestroyTrustedPublic,
    GenerateImportPair,
    GenerateRoot,
    ImportTrustedPublic,
    KeyCheck,
    ListObjects,
    ObjectEntry,
    Ping,
    Random,
    RootCheck,
    Unwrap,
    UnwrapInRoot,
    Wrap,
    WrapOutRoot,
    failure_from,
)
from strongroom.hsm.worker import TokenPerformer
from strongroom.testing import OpenGate

CHANGING = [
    GenerateRoot(b"n" * 16, "another root"),
    GenerateImportPair(b"pair", "import pair"),
    ImportTrustedPublic(b"pair", "trusted", b"spki"),
    WrapOutRoot(ROOT, b"pair"),
    UnwrapInRoot(b"n" * 16, "another root", b"pair", b"wrapped", KeyCheck("CKA_CHECK_VALUE", "000000")),
    DestroyImportPair(b"pair"),
    DestroyTrustedPublic(b"pair"),
]
WRAP = Wrap(ROOT, KEY.reveal(), AAD)


class NotingGate:
    def __init__(self):
        self.asked = []

    def check(self, verb, parameters):
        self.asked.append((verb, parameters))
        raise ApprovalRequiredError("not now")


@pytest.fixture
def module():
    return FakeModule("a")


@pytest.fixture
def token(module):
    opened = open_token(module)
    opened.generate_root(ROOT, "root")
    return opened


@pytest.fixture
def performer_with(token):
    return lambda gate: TokenPerformer(token, gate, use_limit_s=1, admin_limit_s=60)


@pytest.fixture
def performer(performer_with):
    return performer_with(ClosedGate())


def unwrap_of(wrapped, **changes):
    fields = {
        "root_id": ROOT,
        "algorithm": wrapped.algorithm,
        "iv": wrapped.iv,
        "ciphertext": wrapped.ciphertext,
        "wrap_tag": wrapped.wrap_tag,
        "aad": AAD,
    }
    return Unwrap(**{**fields, **changes})


@pytest.mark.parametrize("call", CHANGING, ids=lambda call: type(call).__name__)
def test_the_closed_gate_refuses_every_verb_that_changes_keys(performer, token, call):
    before = token.list_objects()
    with pytest.raises(ApprovalRequiredError, match=type(call).__name__):
        performer.perform(call)
    assert token.list_objects() == before


def test_the_gate_is_asked_about_exactly_the_parameters_of_the_call(performer_with):
    gate = NotingGate()
    with pytest.raises(ApprovalRequiredError):
        performer_with(gate).perform(GenerateRoot(b"n" * 16, "another root"))
    assert gate.asked == [("GenerateRoot", {"root_id": b"n" * 16, "label": "another root"})]


def test_what_only_looks_passes_the_closed_gate(performer):
    check = performer.perform(RootCheck(ROOT))
    assert isinstance(check, KeyCheck)
    assert (check.kind, len(check.value)) == ("CKA_CHECK_VALUE", 6)
    assert performer.perform(ListObjects()) == [ObjectEntry("secret_key", ROOT, "root", is_ghost=False)]


def test_use_verbs_never_meet_the_gate(performer_with):
    gate = NotingGate()
    performer = performer_with(gate)
    wrapped = performer.perform(WRAP)
    assert performer.perform(unwrap_of(wrapped)) == KEY.reveal()
    assert len(performer.perform(Random(7))) == 7
    assert gate.asked == []


def test_an_open_gate_lets_a_root_be_made(performer_with, token):
    performer_with(OpenGate()).perform(GenerateRoot(b"n" * 16, "another root"))
    assert token.has_root(b"n" * 16)


def test_limits_tell_use_from_administration(performer):
    assert {performer.limit_s(call) for call in (WRAP, Random(1))} == {1}
    assert {performer.limit_s(call) for call in CHANGING} == {60}


@pytest.mark.parametrize(
    "call",
    [
        Wrap(b"short", b"k", b""),
        Wrap(ROOT, b"", b""),
        Wrap(ROOT, bytes(5000), b""),
        Unwrap(ROOT, 77, b"i" * 12, b"c", b"t" * 16, b""),
        Unwrap(ROOT, 1, b"i", b"c", b"t" * 16, b""),
        Random(0),
        Random(-1),
        Random(5000),
        Ping(),
    ],
)
def test_a_call_that_no_member_could_do_is_a_wrong_request(performer, call):
    with pytest.raises(HsmRequestError):
        performer.perform(call)


def test_a_broken_token_breaks_the_performer(performer, module):
    assert not performer.is_broken
    module.faults["encrypt"].extend([cryptoki.DeviceError] * 3)
    with pytest.raises(StrongroomError):
        performer.perform(WRAP)
    assert performer.is_broken


def test_closing_leaves_no_session_open(performer, module):
    performer.perform(WRAP)
    assert module.sessions
    performer.close()
    assert not module.sessions


def tampered(performer, module):
    wrapped = performer.perform(WRAP)
    return unwrap_of(wrapped, ciphertext=bytes(len(wrapped.ciphertext)))


def device_error(performer, module):
    module.faults["encrypt"].extend([cryptoki.DeviceError] * 3)
    return WRAP


def bug(performer, module):
    module.faults["encrypt"].append(lambda: ValueError(f"while encrypting {KEY.reveal()!r}"))
    return WRAP


@pytest.mark.parametrize(
    ("make_call", "kind"),
    [
        (tampered, HsmIntegrityError),
        (lambda *_: Wrap(b"x" * 16, KEY.reveal(), AAD), HsmKeyNotFoundError),
        (lambda *_: Wrap(b"short", KEY.reveal(), AAD), HsmRequestError),
        (lambda *_: Wrap(ROOT, KEY.reveal() * 200, AAD), HsmRequestError),
        (device_error, StrongroomError),
        (bug, ValueError),
    ],
    ids=["tampered", "no root", "root id", "too long", "device", "bug"],
)
def test_no_failure_tells_the_key_bytes(performer, module, make_call, kind):
    call = make_call(performer, module)
    with pytest.raises(kind) as caught:
        performer.perform(call)
    told = repr(failure_from(caught.value))
    assert KEY.reveal().decode() not in told
    assert KEY.reveal().hex() not in told

"""``Token.batch`` on a module that breaks on command: order, items that fail, and what is done again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures_token import AAD, KEY, ROOT, FakeModule, open_token
from strongroom.core import (
    BatchMac,
    BatchUnwrap,
    BatchWrap,
    HsmError,
    HsmIntegrityError,
    HsmKey,
    HsmKeyId,
    HsmKeyNotFoundError,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    MemberBusyError,
    MemberFailedError,
    RootId,
    Secret,
)
from strongroom.hsm import cryptoki

LONG_S = 60.0
NO_SUCH_MAC_KEY = HsmKey(HsmKeyId(bytes(16)), KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC)


def answers_of(token, items, *, slice_s=LONG_S):
    batch = token.batch(items)
    while not batch.is_done:
        before = len(batch.answers)
        batch.advance(slice_s)
        assert len(batch.answers) > before
    return batch.answers


def unwraps(token, n):
    """Items that open to different bytes, so that their order shows, and these bytes."""
    opened = [bytes([number]) * 32 for number in range(n)]
    return [BatchUnwrap(ROOT, token.wrap(ROOT, Secret(value), AAD), AAD) for value in opened], opened


def changed(item):
    first = item.wrapped.tag[0] ^ 1
    return item._replace(wrapped=item.wrapped._replace(tag=bytes([first]) + item.wrapped.tag[1:]))


def plain(answers):
    """Answers without their secrecy; errors by their class."""
    return [answer.reveal() if isinstance(answer, Secret) else type(answer) for answer in answers]


@pytest.mark.parametrize("slice_s", [0.0, LONG_S])
def test_every_item_has_its_own_answer_in_the_order_of_the_items(token, slice_s):
    items, opened = unwraps(token, 20)
    assert plain(answers_of(token, items, slice_s=slice_s)) == opened


@pytest.mark.parametrize("kind", [BatchWrap, BatchUnwrap])
def test_a_slice_that_is_over_ends_with_the_item_at_hand(token, kind):
    items = unwraps(token, 5)[0] if kind is BatchUnwrap else [BatchWrap(ROOT, KEY, AAD)] * 5
    batch = token.batch(items)
    for n_done in range(1, 6):
        batch.advance(0.0)
        assert len(batch.answers) == n_done


def test_a_batch_of_nothing_is_done_before_it_begins(token):
    assert answers_of(token, []) == []


def test_a_batch_takes_one_session(token, module):
    items, _ = unwraps(token, 20)
    before = set(module.sessions)
    answers_of(token, items)
    assert set(module.sessions) == before


def test_kinds_can_be_mixed(token):
    (unwrap,), (value,) = unwraps(token, 1)
    wrapped, opened, refused = answers_of(
        token, [BatchWrap(ROOT, KEY, AAD), unwrap, BatchMac(NO_SUCH_MAC_KEY, b"m")]
    )
    assert token.unwrap(ROOT, wrapped, AAD).matches(KEY)
    assert opened.matches(Secret(value))
    assert isinstance(refused, HsmKeyNotFoundError)


def test_bad_items_spoil_nothing_but_themselves(token):
    (first, second, third), opened = unwraps(token, 3)
    items = [
        BatchMac(NO_SUCH_MAC_KEY, b"m"),
        first,
        changed(first),
        second._replace(root_id=RootId(b"short")),
        second,
        BatchWrap(ROOT, Secret(b""), AAD),
        third._replace(root_id=RootId(b"\xee" * 16)),
        BatchMac(NO_SUCH_MAC_KEY, b""),
        third,
    ]
    assert plain(answers_of(token, items)) == [
        HsmKeyNotFoundError,
        opened[0],
        HsmIntegrityError,
        HsmRequestError,
        opened[1],
        HsmRequestError,
        HsmKeyNotFoundError,
        HsmRequestError,
        opened[2],
    ]
    assert not token.is_broken


def test_a_session_that_dies_midway_is_replaced_and_only_what_was_not_done_is_done(token, module):
    items, opened = unwraps(token, 10)
    session = max(module.sessions)
    real = module.decrypt
    done = []

    def decrypt(*args):
        if len(done) == 4:
            module.sessions.pop(session, None)
        plaintext = real(*args)
        done.append(plaintext)
        return plaintext

    module.decrypt = decrypt
    assert plain(answers_of(token, items)) == opened
    assert done == opened


@pytest.mark.parametrize(
    "error",
    [
        cryptoki.GeneralError,
        cryptoki.SessionHandleInvalidError,
        cryptoki.KeyHandleInvalidError,
        cryptoki.DeviceError,
        cryptoki.FunctionFailedError,
        cryptoki.DataLenRangeError,
    ],
)
def test_a_stray_error_in_the_middle_is_healed_within_the_batch(token, module, error):
    items, opened = unwraps(token, 10)
    real, calls = module.decrypt, []

    def decrypt(*args):
        calls.append(args)
        if len(calls) == 5:
            raise error(function="C_Decrypt")
        return real(*args)

    module.decrypt = decrypt
    assert plain(answers_of(token, items)) == opened
    assert len(calls) == 11


def test_a_token_that_is_given_up_answers_the_rest_with_that(module):
    token = open_token(module, may_reinitialise=False)
    token.generate_root(ROOT, "root")
    items, _ = unwraps(token, 5)
    module.dead = cryptoki.DeviceRemovedError
    answers = answers_of(token, items)
    assert len(answers) == 5
    assert all(isinstance(answer, MemberFailedError) for answer in answers)
    assert token.is_broken


def test_a_busy_token_is_not_asked_for_the_rest(module):
    token = open_token(module, throttled=("CKR_FUNCTION_FAILED",))
    token.generate_root(ROOT, "root")
    items, opened = unwraps(token, 6)
    real, calls = module.decrypt, []

    def decrypt(*args):
        calls.append(args)
        if len(calls) > 2:
            raise cryptoki.FunctionFailedError
        return real(*args)

    module.decrypt = decrypt
    assert plain(answers_of(token, items)) == [*opened[:2], *[MemberBusyError] * 4]
    assert len(calls) <= 4


KINDS = st.sampled_from(["good", "tampered", "no root", "empty wrap", "no key", "fault"])


@given(kinds=st.lists(KINDS, max_size=24), slice_s=st.sampled_from([0.0, LONG_S]))
def test_whatever_is_in_a_batch_each_item_gets_what_its_verb_would_say(kinds, slice_s):
    module = FakeModule("a")
    token = open_token(module)
    token.generate_root(ROOT, "root")
    items, opened = unwraps(token, len(kinds))
    expected = []
    for index, kind in enumerate(kinds):
        bad = {
            "tampered": (changed(items[index]), HsmIntegrityError),
            "no root": (items[index]._replace(root_id=RootId(b"\xee" * 16)), HsmKeyNotFoundError),
            "empty wrap": (BatchWrap(ROOT, Secret(b""), AAD), HsmRequestError),
            "no key": (BatchMac(NO_SUCH_MAC_KEY, b"m"), HsmKeyNotFoundError),
        }
        items[index], answer = bad.get(kind, (items[index], opened[index]))
        expected.append(answer)
    module.faults["decrypt"].extend([cryptoki.SessionClosedError] * kinds.count("fault"))
    answers = answers_of(token, items, slice_s=slice_s)
    if "fault" not in kinds:
        assert plain(answers) == expected
    for answer, value in zip(plain(answers), expected, strict=True):
        # A fault may strike any decryption, several times in a row: it never makes a wrong value or another's error.
        assert answer == value or (isinstance(answer, type) and not issubclass(answer, HsmRequestError))
    assert all(isinstance(answer, Secret | HsmError) for answer in answers)
    token.close()

"""Shares on their way: typed back from paper, encrypted by age, kept on a card; and what tells a wrong copy."""

import pyrage
import pytest

from fixtures_softhsm import loaded_softhsm
from officer_tools import OfficerCard
from strongroom.core import Secret, StrongroomError
from strongroom.custody import CardUri
from strongroom.shares import ShareLengthError, SharePlan, combine, split
from strongroom.wiring.pin_delivery import DeliveryError
from strongroom.wiring.share_cards import ShareCard
from strongroom.wiring.share_delivery import (
    CopyDiffersError,
    ShareAddress,
    check_retyped,
    deliver_by_age,
    open_share,
    share_sheet,
)
from strongroom.wiring.smart_cards import CardError

SET, OTHER_SET = bytes(range(16)), bytes(range(1, 17))
SECRET = Secret(bytes(range(40, 72)))
SHARES = split(SECRET, SharePlan(3, 5))
ADDRESS = ShareAddress(SET, 5, "carol")
AT = 1_795_354_000.0


def _typed(words):
    return Secret.from_text(" ".join(words))


def _with(words, changes):
    return [changes.get(place, word) for place, word in enumerate(words, start=1)]


def test_the_words_typed_back_prove_the_paper():
    words = SHARES[0].words
    check_retyped(SHARES[0], _typed(words))
    check_retyped(SHARES[0], Secret.from_text("\n".join(word.upper() for word in words) + "\n"))


@pytest.mark.parametrize("places", [{4}, {1, 33}, {5, 6, 7, 8}, set(range(1, 34))])
def test_each_word_that_differs_is_named_by_its_place_and_no_word_is(places):
    said = set()
    for share in SHARES[:2]:
        with pytest.raises(CopyDiffersError) as refused:
            check_retyped(share, _typed(_with(share.words, dict.fromkeys(places, "zzzz"))))
        assert refused.value.positions == tuple(sorted(places))
        said.add(str(refused.value))
    assert len(said) == 1
    assert "zzzz" not in said.pop()


def test_the_words_of_another_share_are_told_from_mistyped_ones():
    with pytest.raises(CopyDiffersError, match="of another share") as refused:
        check_retyped(SHARES[0], _typed(SHARES[1].words))
    assert refused.value.positions == ()


def test_a_word_too_few_is_told_by_the_number_of_words():
    with pytest.raises(ShareLengthError) as refused:
        check_retyped(SHARES[0], _typed(SHARES[0].words[1:]))
    assert refused.value.found == 32


def test_a_sheet_has_everything_that_is_printed_and_its_repr_no_word():
    sheet = share_sheet(
        SHARES[2], ADDRESS, custodian_name="Carol Chen", made_at="2026-11-22 14:05:09", is_rehearsal=True
    )
    assert (sheet.set_id, sheet.share_number, sheet.threshold, sheet.count) == (SET.hex(), 3, 3, 5)
    assert sheet.words == SHARES[2].words
    assert not any(f"'{word}'" in repr(sheet) for word in sheet.words)


def _age_key():
    identity = pyrage.x25519.Identity.generate()
    return str(identity.to_public()), str(identity).encode()


def test_a_share_by_age_opens_with_the_key_of_its_custodian_alone(tmp_path):
    (carol, carols), (_, daves) = _age_key(), _age_key()
    file = tmp_path / "share-1.age"
    deliver_by_age(SHARES[0], ADDRESS, carol, file, at=AT)
    assert file.stat().st_mode & 0o777 == 0o600
    assert all(word.encode() not in file.read_bytes() for word in SHARES[0].words if len(word) > 5)
    letter, share = open_share(file, carols)
    assert share.value.matches(SHARES[0].value)
    assert (letter.set, letter.custodian, letter.share, letter.threshold, letter.count) == (
        SET.hex(),
        "carol",
        1,
        3,
        5,
    )
    assert letter.made_at == "2026-11-22T13:26:40+00:00"
    assert letter.words not in repr(letter)
    with pytest.raises(DeliveryError, match="does not open"):
        open_share(file, daves)
    with pytest.raises(DeliveryError, match="already"):
        deliver_by_age(SHARES[1], ADDRESS, carol, file, at=AT)
    with pytest.raises(DeliveryError):
        deliver_by_age(SHARES[1], ADDRESS, "age1nobody", tmp_path / "other.age", at=AT)
    assert [path.name for path in tmp_path.iterdir()] == ["share-1.age"]


@pytest.mark.parametrize("clear", [b"{}", b"\xff", b'{"type": "strongroom-share-v1"}', b"{"])
def test_what_was_encrypted_to_the_custodian_and_is_no_share_is_refused(tmp_path, clear):
    recipient, identity = _age_key()
    file = tmp_path / "x.age"
    file.write_bytes(pyrage.encrypt(clear, [pyrage.x25519.Recipient.from_str(recipient)], armored=True))
    with pytest.raises(DeliveryError, match="something else than a share"):
        open_share(file, identity)


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    with loaded_softhsm(tmp_path_factory.mktemp("cards")) as tokens:
        token = tokens.new()
        yield OfficerCard(tokens.env, token.label, token.user_pin)


@pytest.fixture(autouse=True)
def softhsm(request, monkeypatch):
    if "card" in request.fixturenames:
        monkeypatch.setenv("SOFTHSM2_CONF", str(request.getfixturevalue("card").env.conf))


def test_a_share_on_a_card_is_kept_read_again_and_destroyed(card):
    pin = Secret(card.pin)
    opened = ShareCard(CardUri.from_text(card.uri()))
    assert card.label in opened.name
    assert not opened.has_pin_pad
    with pytest.raises(CardError, match="no shares are on the card"):
        opened.share(pin)
    opened.keep(SET, SHARES[0], pin)
    set_id, share = opened.share(pin)
    assert set_id == SET
    assert share.value.matches(SHARES[0].value)
    assert combine([share, *SHARES[3:]]).matches(SECRET)
    opened.keep(OTHER_SET, SHARES[1], pin)
    with pytest.raises(
        CardError, match=f"2 shares are on the card .*: share 1 of set {SET.hex()}, share 2 of set"
    ):
        opened.share(pin)
    assert opened.share(pin, OTHER_SET).share.index == 2
    assert opened.destroy(SET, 1, pin)
    assert not opened.destroy(SET, 1, pin)


def test_a_wrong_pin_reaches_the_card_once_and_no_message(card):
    opened = ShareCard(CardUri.from_text(card.uri()))
    with pytest.raises(CardError) as refused:
        opened.keep(SET, SHARES[0], Secret(b"98765432"))
    assert "98765432" not in str(refused.value)


def test_a_card_that_nobody_has_and_a_key_for_a_card_are_refused(card):
    with pytest.raises(CardError, match="no cards fit"):
        ShareCard(CardUri.from_text(f"pkcs11:token=nobody?module-path={card.env.library}"))
    with pytest.raises(CardError, match="names the card alone"):
        ShareCard(CardUri.from_text(card.uri("object=key")))
    with pytest.raises(StrongroomError):
        ShareCard(CardUri.from_text("pkcs11:token=x?module-path=/nowhere.so"))

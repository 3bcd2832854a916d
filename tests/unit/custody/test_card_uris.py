"""``pkcs11:`` URIs (RFC 7512): what is taken, what is refused, and that nothing is read in part."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes_custody import UNHURRIED
from strongroom.custody import CardUri, OfficerKeyError

TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=12)


def test_a_uri_names_card_key_library_and_the_file_of_the_pin():
    assert CardUri.from_text(
        "pkcs11:token=Anna%20Ash;serial=01ab;manufacturer=OpenSC;model=PKCS%2315;object=SIGN;id=%01%FF;type=private"
        "?module-path=/usr/lib/opensc-pkcs11.so&pin-source=file:/run/pin"
    ) == CardUri(
        "Anna Ash", "01ab", "OpenSC", "PKCS#15", "SIGN", b"\x01\xff", "/usr/lib/opensc-pkcs11.so", "/run/pin"
    )
    assert CardUri.from_text("pkcs11:") == CardUri()
    assert not CardUri.from_text("pkcs11:object=a&b").names_a_card
    assert CardUri.from_text("pkcs11:token=a?pin-source=/p?q").pin_source == "/p?q"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("PKCS11:token=a", "begins with"),
        ("file:/x", "begins with"),
        ("pkcs11:" + "a" * 1020, "up to 1024"),
        ("pkcs11:token=a?pin-value=1234", "no place"),
        ("pkcs11:pin-value=1234", "no place"),
        ("pkcs11:slot-id=1", "it takes id, "),
        ("pkcs11:library-manufacturer=x", "it takes"),
        ("pkcs11:token=a?module-name=opensc", "it takes module-path"),
        ("pkcs11:token=a;token=b", "stands twice"),
        ("pkcs11:token=", "is empty"),
        ("pkcs11:token", "is empty"),
        ("pkcs11:token=a;", "it takes"),
        ("pkcs11:token=a b", "percent-encoded"),
        ("pkcs11:token=a%2", "percent-encoded"),
        ("pkcs11:token=a\n", "percent-encoded"),
        ("pkcs11:token=a/b", "percent-encoded"),
        ("pkcs11:token=ä", "percent-encoded"),
        ("pkcs11:token=%ff", "not UTF-8"),
        ("pkcs11:token=a%00b", "zero byte"),
        ("pkcs11:token=a;type=public", "type is private"),
        ("pkcs11:token=a?module-path=relative.so", "absolute path"),
    ],
)
def test_what_is_no_such_uri_is_refused_in_words(text, words):
    with pytest.raises(OfficerKeyError, match="names no key on a card") as caught:
        CardUri.from_text(text)
    assert words in caught.value.message
    assert "1234" not in str(caught.value)


@UNHURRIED
@given(st.text(max_size=60).map("pkcs11:".__add__) | st.text(max_size=40))
def test_other_texts_are_refused_and_nothing_else_happens(text):
    try:
        CardUri.from_text(text)
    except OfficerKeyError:
        return
    assert text.startswith("pkcs11:")


@UNHURRIED
@given(TEXTS, TEXTS, st.binary(min_size=1, max_size=20))
def test_whatever_a_card_is_called_can_be_written(token, label, cka_id):
    encoded = f"token={quote(token, safe='')};object={quote(label, safe='')};id={quote(cka_id, safe='')}"
    assert CardUri.from_text(f"pkcs11:{encoded}") == CardUri(token=token, object=label, id=cka_id)

"""Where deliveries to officers are encrypted to: two forms, checked to the last bit, and nobody else's."""

import json

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes_custody import CO, PEOPLE, SO, UNHURRIED, begun, changed, genesis_body, key_of, person
from strongroom.custody import (
    ChainError,
    KeyKind,
    OfficerPrivateKey,
    StateRefusedError,
    check_genesis_body,
    check_recipient,
    describe_request,
    write_document,
)
from strongroom.custody._recipients import opening_point

AGE = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
"""From the README of age."""
OTHER_AGE = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"
CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32(raw, hrp="age", *, spare_bits=0):
    """BIP 173, written from the text: the other way round from what is tested."""
    number = int.from_bytes(raw, "big") << 4 | spare_bits
    data = [number >> 5 * at & 31 for at in reversed(range(52))]
    check = 1
    for value in [*(ord(c) >> 5 for c in hrp), 0, *(ord(c) & 31 for c in hrp), *data, *[0] * 6]:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= term if top >> bit & 1 else 0
    check ^= 1
    symbols = data + [check >> 5 * at & 31 for at in reversed(range(6))]
    return f"{hrp}1" + "".join(CHARSET[symbol] for symbol in symbols)


def _document_of(one):
    return {"person": json.loads(write_document(one))}


@pytest.mark.parametrize("text", ["", AGE, OTHER_AGE, key_of("anna").public.line])
def test_both_forms_and_none_are_taken(text):
    check_recipient(text)


NO_RECIPIENTS = {
    "upper case": AGE.upper(),
    "mixed case": AGE[:-1] + AGE[-1].upper(),
    "a character changed": AGE[:-1] + "q",
    "a character left out": AGE[:20] + AGE[21:],
    "a blank after it": AGE + " ",
    "a line feed after it": AGE + "\n",
    "two": f"{AGE}\n{OTHER_AGE}",
    "of a plugin": bech32(bytes(range(32)), "age1yubikey"),
    "spare bits": bech32(bytes(range(32)), spare_bits=1),
    "zero": bech32(bytes(32)),
    "one": bech32(b"\x01" + bytes(31)),
    "not reduced": bech32(b"\xed" + b"\xff" * 30 + b"\x7f"),
    "order 8": bech32((325606250916557431795983626356110631294008115727848805560023387167927233504).to_bytes(32, "little")),
    "the secret half": "AGE-SECRET-KEY-1" + "Q" * 58,
    "an SSH key with a comment": key_of("anna").public.line + " anna",
    "an SSH key of another kind": OfficerPrivateKey.generate(KeyKind.P256).public.line,
    "some words": "anna@example.com",
}  # fmt: skip


@pytest.mark.parametrize("case", NO_RECIPIENTS)
def test_what_is_no_recipient_is_refused(case):
    with pytest.raises(StateRefusedError, match="no recipient"):
        check_recipient(NO_RECIPIENTS[case])
    with pytest.raises(ChainError, match="no recipient"):
        changed(begun(), "ChangeOfficerRecipient", {"officer": "anna", "recipient": NO_RECIPIENTS[case]})


def _age_takes(text):
    kind = pyrage.x25519 if text.startswith("age1") else pyrage.ssh
    try:
        return pyrage.encrypt(b"PIN", [kind.Recipient.from_str(text)])
    except (pyrage.RecipientError, pyrage.EncryptError):
        return None


def test_what_is_taken_is_what_age_encrypts_to():
    made = pyrage.x25519.Identity.generate()
    check_recipient(str(made.to_public()))
    assert pyrage.decrypt(_age_takes(str(made.to_public())), [made]) == b"PIN"
    for text in (AGE, OTHER_AGE, key_of("anna").public.line):
        assert _age_takes(text) is not None


@UNHURRIED
@given(st.text(max_size=80) | st.text(CHARSET, min_size=58, max_size=58).map("age1".__add__))
def test_other_texts_are_refused_and_nothing_else_happens(text):
    if text:
        with pytest.raises(StateRefusedError):
            check_recipient(text)


@UNHURRIED
@given(st.binary(min_size=32, max_size=32).filter(lambda raw: 2**32 < int.from_bytes(raw, "little") < 2**254))
def test_every_key_is_taken_and_no_character_of_it_can_be_changed(raw):
    text = bech32(raw)
    check_recipient(text)
    assert _age_takes(text) is not None
    at = raw[0] % 58 + 4
    with pytest.raises(StateRefusedError):
        check_recipient(text[:at] + ("q" if text[at] != "q" else "p") + text[at + 1 :])


def test_a_recipient_is_in_the_genesis_and_changes_by_a_record():
    people = tuple(person(name, recipient=AGE if name == "anna" else "") for name in PEOPLE)
    body = genesis_body(people={})
    body = type(body)(**{name: getattr(body, name) for name in body.__struct_fields__} | {"people": people})
    assert AGE.encode() in check_genesis_body(body)
    chain = begun()
    assert chain.state.officers["anna"].recipient == ""
    chain = changed(chain, "ChangeOfficerRecipient", {"officer": "anna", "recipient": AGE})
    assert chain.state.officers["anna"].recipient == AGE
    own = key_of("anna").public.line
    chain = changed(chain, "ChangeOfficerRecipient", {"officer": "anna", "recipient": own})
    assert chain.state.officers["anna"].recipient == own
    chain = changed(chain, "ChangeOfficerRecipient", {"officer": "anna", "recipient": ""})
    assert chain.state.officers["anna"].recipient == ""
    chain = changed(chain, "AddOfficer", _document_of(person("ivan", (SO,), recipient=AGE)))
    assert chain.state.officers["ivan"].recipient == AGE


def _as_age(key):
    """The recipient that ssh-to-age makes of a key: u = (1 + y) / (1 - y), RFC 7748 section 4.1."""
    prime = 2**255 - 19
    y = int.from_bytes(key.point, "little") % 2**255
    return bech32(((1 + y) * pow(1 - y, -1, prime) % prime).to_bytes(32, "little"))


def test_the_age_form_of_an_own_key_is_an_officer_s_own():
    own = _as_age(key_of("anna").public)
    chain = changed(begun(), "ChangeOfficerRecipient", {"officer": "anna", "recipient": own})
    assert chain.state.officers["anna"].recipient == own


def test_the_forms_of_a_key_are_that_of_the_example_in_the_rfc():
    """RFC 7748 section 4.1: the base points, u = 9 and y = 4/5."""
    base = (4 * pow(5, -1, 2**255 - 19) % (2**255 - 19)).to_bytes(32, "little")
    assert opening_point(bech32((9).to_bytes(32, "little"))) == base


def test_a_delivery_to_one_officer_is_not_opened_by_another():
    chain = changed(begun(), "ChangeOfficerRecipient", {"officer": "anna", "recipient": AGE})
    for verb, parameters in (
        ("ChangeOfficerRecipient", {"officer": "ben", "recipient": AGE}),
        ("ChangeOfficerRecipient", {"officer": "ben", "recipient": key_of("anna").public.line}),
        ("AddOfficer", _document_of(person("ivan", (CO,), recipient=AGE))),
        ("AddOfficer", _document_of(person("ivan", (CO,), recipient=key_of("gus").public.line))),
        ("ChangeOfficerRecipient", {"officer": "ben", "recipient": _as_age(key_of("gus").public)}),
        ("AddOfficer", _document_of(person("ivan", (CO,), recipient=_as_age(key_of("anna").public)))),
    ):
        with pytest.raises(ChainError, match="opened by somebody else"):
            changed(chain, verb, parameters)


def test_nobody_s_recipient_cannot_be_changed():
    chain = changed(begun(), "RevokeOfficer", {"officer": "cleo", "reason": "left"})
    for officer in ("zoe", "cleo"):
        with pytest.raises(ChainError, match="no officer"):
            changed(chain, "ChangeOfficerRecipient", {"officer": officer, "recipient": AGE})


def test_officers_read_to_whom_deliveries_will_go():
    chain = changed(begun(), "ChangeOfficerRecipient", {"officer": "anna", "recipient": AGE})
    lines = describe_request(chain.records[0].request)
    assert lines[0] == "Change to which key PINs and other deliveries to an officer are encrypted."
    assert f'    "recipient": "{AGE}"' in lines

"""The published vectors of SLIP-0039, and the word list, against ours and against the reference."""

import json
from pathlib import Path

import pytest
from shamir_mnemonic import MnemonicError, combine_mnemonics
from shamir_mnemonic.wordlist import WORDLIST

from strongroom.shares import (
    DuplicateShareError,
    ForeignShareError,
    ShareChecksumError,
    ShareFormatError,
    ShareLengthError,
    TooFewSharesError,
    WrongSharesError,
    combine,
    read_share,
)
from strongroom.shares._word_list import WORDS

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "slip39" / "vectors.json").read_text())
REFUSALS = {
    "invalid checksum": ShareChecksumError,
    "invalid padding": ShareFormatError,
    "greater group threshold": ShareFormatError,
    "Basic sharing 2-of-3": TooFewSharesError,
    "nsufficient number of": TooFewSharesError,
    "different": ForeignShareError,
    "mismatching": ForeignShareError,
    "duplicate member": DuplicateShareError,
    "invalid digest": WrongSharesError,
    "insufficient length": ShareLengthError,
    "invalid master secret length": ShareLengthError,
}


def test_all_45_vectors_are_here():
    assert [int(description.split(".")[0]) for description, *_ in VECTORS] == list(range(1, 46))


def test_the_words_are_those_of_the_reference():
    assert list(WORDS) == list(WORDLIST)


@pytest.mark.parametrize(
    ("description", "texts", "secret"), VECTORS, ids=[description for description, *_ in VECTORS]
)
def test_a_vector_gives_its_secret_or_its_own_refusal(description, texts, secret):
    if secret:
        assert combine([read_share(text) for text in texts], passphrase=b"TREZOR").reveal().hex() == secret
        return
    (refusal,) = {error for part, error in REFUSALS.items() if part in description}
    with pytest.raises(MnemonicError):
        combine_mnemonics(texts, b"TREZOR")
    with pytest.raises(refusal):
        combine([read_share(text) for text in texts], passphrase=b"TREZOR")

"""Hashes as words: the published list, each word for one byte."""

from hypothesis import given
from hypothesis import strategies as st

from strongroom.custody import spoken
from strongroom.custody._spoken import _EVEN, _ODD


def test_the_words_are_those_of_the_published_example():
    """The fingerprint that stands as an example wherever the list is described."""
    words = spoken("E58294F2E9A227486E8B061B31CC528FD7FA3F19")
    assert " ".join(words) == (
        "topmost Istanbul Pluto vagabond treadmill Pacific brackish dictator goldfish Medusa "
        "afflict bravado chatter revolver Dupont midsummer stopwatch whimsical cowbell bottomless"
    )


def test_every_byte_has_a_word_of_its_own_at_either_place():
    assert len(_EVEN) == len(_ODD) == 256
    assert len({word.lower() for word in (*_EVEN, *_ODD)}) == 512


@given(st.binary(max_size=32))
def test_words_mean_one_hash(raw):
    words = spoken(raw.hex())
    assert bytes((_ODD if at % 2 else _EVEN).index(word) for at, word in enumerate(words)) == raw

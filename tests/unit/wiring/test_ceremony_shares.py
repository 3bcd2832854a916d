"""Shares and people in a ceremony: copies that are wrong, proofs that do not fit, and shares that nobody asked for."""

import asyncio
import base64
import re

import pyrage
import pytest

from backup_documents import a_set
from strongroom.backup import SetCustodian, sealed_set, set_seal_key, share_key_check
from strongroom.ceremony import CeremonyError, CeremonyRole, Delivery, Participant
from strongroom.core import Secret, random_bytes
from strongroom.shares import SharePlan, possession_public_key, prove_possession, split
from strongroom.testing import FakeClock
from strongroom.wiring.backup_set import ShareToGive
from strongroom.wiring.ceremony_shares import CollectingShares, GivingShares, NotProvedError, picture_of
from strongroom.wiring.share_delivery import open_share

SET_ID = bytes(range(16))
PLAN = SharePlan(2, 3)


class Room:
    """A console whose people answer from a list, or by a function of the question; remembers what anybody could see."""

    def __init__(self, hidden=(), answers=None):
        self.hidden, self.answers = list(hidden), answers or {}
        self.said, self.noted, self.asked, self.pages, self.is_clear = [], [], [], [], True

    async def show(self, page):
        self.said.append(repr(page))

    async def say(self, line):
        self.said.append(line)

    async def ask(self, question):
        self.asked.append(question.text)
        answer = self.answers.get(question.key, "")
        return answer(question) if callable(answer) else answer

    async def ask_hidden(self, question):
        self.asked.append(question.text)
        return Secret.from_text(self.hidden.pop(0))

    async def show_share(self, page):
        self.pages.append(page)
        self.is_clear = False

    async def clear(self):
        self.is_clear = True

    async def note(self, text, who):
        self.noted.append((text, who))

    @property
    def public(self):
        """Everything but the shares that were shown and what was typed unseen."""
        return "\n".join([*self.said, *self.asked, *(text for text, _ in self.noted)])


def person(name="kai", delivery=Delivery.PAPER, recipient=""):
    return Participant(
        id=name, name=f"{name.title()} Example", role=CeremonyRole.CUSTODIAN, organisation="Example Ltd",
        location="Safe 1", delivery=delivery, recipient=recipient,
    )  # fmt: skip


@pytest.fixture(scope="module")
def secret():
    return Secret(random_bytes(32))


@pytest.fixture
def shares(secret):
    return split(secret, PLAN)


def give(room, share, to, tmp_path):
    giving = GivingShares(room, tmp_path, note=room.note, is_rehearsal=False, clock=FakeClock())
    return asyncio.run(giving.give(ShareToGive(SET_ID, share, to, PLAN)))


def with_two_swapped(words):
    return " ".join([*words[:9], words[10], words[9], *words[11:]])


def test_a_copy_that_is_wrong_is_shown_and_typed_again(shares, tmp_path):
    words = shares[0].words
    room = Room([with_two_swapped(words), " ".join(words[:-1]), " ".join(words).upper()])
    given = give(room, shares[0], person(), tmp_path)
    assert (given.share_index, given.delivery, given.location) == (1, "paper", "Safe 1")
    assert given.possession_key == possession_public_key(shares[0], SET_ID)
    assert len(room.pages) == 3
    assert room.pages[0].words == words
    assert "10" in room.said[0]
    assert "11" in room.said[0]
    assert room.is_clear
    assert room.noted == [("share 1 of 3 was given, and the copy was proved", "kai")]


def test_nobody_gets_more_than_five_tries_and_nothing_of_the_words_is_said(shares, tmp_path):
    words = shares[1].words
    room = Room([with_two_swapped(words)] * 5)
    with pytest.raises(NotProvedError, match="did not prove the copy"):
        give(room, shares[1], person(), tmp_path)
    assert room.is_clear
    assert room.noted == []
    assert not any(word in re.findall(r"[a-z]+", room.public) for word in words[4:30] if len(word) > 5)


def test_a_delivery_by_age_is_proved_by_an_answer_to_a_challenge(shares, tmp_path):
    identity = pyrage.x25519.Identity.generate()
    tries = []

    def prove(question):
        (path,) = tmp_path.glob("*.age")
        challenge = bytes.fromhex(re.search(r"--challenge ([0-9a-f]+)", question.text)[1])
        opened = open_share(path, str(identity).encode())
        tries.append("")
        if len(tries) < 3:
            return ["no base64!", base64.b64encode(bytes(64)).decode()][len(tries) - 1]
        return base64.b64encode(prove_possession(opened.share, SET_ID, challenge)).decode()

    room = Room(answers={"share-proof": prove})
    given = give(room, shares[2], person("kim", Delivery.AGE, str(identity.to_public())), tmp_path)
    assert given.delivery == "age"
    assert len(tries) == 3
    assert room.pages == [], "no share was on the screen"


def set_of(shares, secret):
    custodians = tuple(
        SetCustodian(
            id=f"c{share.index}", name=f"Custodian {share.index}", location="here", share_index=share.index,
            delivery="paper", possession_key=possession_public_key(share, SET_ID),
        )
        for share in shares
    )  # fmt: skip
    made = a_set(
        b"spki", set_id=SET_ID.hex(), threshold=PLAN.threshold, count=PLAN.count, custodians=custodians,
        slip39_identifier=shares[0].set_identifier, share_key_check=share_key_check(secret),
    )  # fmt: skip
    return sealed_set(made, set_seal_key(secret))


def test_wrong_shares_are_refused_one_by_one_and_the_right_ones_give_the_key(shares, secret):
    texts = [" ".join(share.words) for share in shares]
    foreign = " ".join(split(Secret(random_bytes(32)), PLAN)[0].words)
    room = Room([foreign, with_two_swapped(shares[0].words), texts[0], texts[0], texts[2]])
    collecting = CollectingShares(room, set_of(shares, secret), note=room.note)
    key = asyncio.run(collecting.collect([person("kai"), person("kim")]))
    assert key.matches(secret)
    assert len(room.said) == 3
    assert "another set" in room.said[0]
    assert "already" in room.said[2]
    assert [who for _, who in room.noted] == ["kai", "kim"]
    assert "Custodian 3" in room.noted[1][0]


def test_five_wrong_shares_end_the_step(shares, secret):
    room = Room(["abacus abacus"] * 5)
    collecting = CollectingShares(room, set_of(shares, secret), note=room.note)
    with pytest.raises(CeremonyError, match="Kai Example entered no share of this set"):
        asyncio.run(collecting.collect([person("kai"), person("kim")]))


def test_the_picture_of_a_share_fits_a_terminal(shares):
    rows = picture_of(" ".join(shares[0].words))
    assert len({len(row) for row in rows}) == 1
    assert len(rows) <= 40
    assert len(rows[0]) <= 80
    assert set("".join(rows)) <= set("█▀▄ ")

"""Before a share is in a ceremony's process, people are told what the system refused to protect, and the transcript keeps it."""

from types import SimpleNamespace

from strongroom.wiring import ceremony_workplace
from strongroom.wiring.ceremony_workplace import Workplace

REFUSED = "memory is not locked: keys may reach the swap device (raise LimitMEMLOCK)"


class Listening:
    """A console and a scene that keep what they are told."""

    def __init__(self):
        self.said, self.noted = [], []

    async def say(self, line):
        self.said.append(line)

    async def note(self, text, *, who):
        self.noted.append((text, who))


async def test_what_protects_no_share_is_said_and_noted(monkeypatch):
    people = Listening()
    place = Workplace(SimpleNamespace(), SimpleNamespace())
    place.scene = people
    monkeypatch.setattr(ceremony_workplace, "protect_process", list)
    await place.protect(people)
    assert (people.said, people.noted) == ([], [])
    monkeypatch.setattr(ceremony_workplace, "protect_process", lambda: [REFUSED])
    await place.protect(people)
    assert (people.said, people.noted) == ([REFUSED], [(REFUSED, "")])

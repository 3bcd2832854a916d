"""What is told of a long work: in its order, and all of it before another page is put up."""

import pytest

from strongroom.wiring.ceremony_workplace import told


class Said:
    """A console that keeps what it shows."""

    def __init__(self):
        self.shown = []

    async def say(self, line):
        self.shown.append(line)


async def test_what_was_told_is_said_before_the_next_page():
    console = Said()
    async with told(console) as progress:
        progress("making the key")
        progress("giving share 1 of 5")
        await progress.all_said()
        console.shown.append("<share 1>")
        progress("giving share 2 of 5")
        await progress.all_said()
        console.shown.append("<share 2>")
        progress("done")
    assert console.shown == ["making the key", "giving share 1 of 5", "<share 1>", "giving share 2 of 5", "<share 2>", "done"]  # fmt: skip


async def test_a_console_that_is_gone_ends_the_work_and_nobody_waits_for_it():
    class Gone(Said):
        async def say(self, line):
            raise OSError("the terminal is gone")

    async def work():
        async with told(Gone()) as progress:
            progress("giving share 1 of 5")
            await progress.all_said()

    with pytest.raises(OSError, match="gone"):
        await work()

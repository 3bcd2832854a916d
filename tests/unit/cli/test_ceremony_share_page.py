"""The page of a share on a small terminal: what was wrong with the last copy is read before the share is shown again."""

import asyncio
import os
import sys

from strongroom.ceremony import SharePage
from strongroom.cli._ceremony_console import TerminalConsole

WORDS = tuple(f"word{number}" for number in range(1, 34))
REASON = f"words {', '.join(map(str, range(1, 33)))} and 33 are not those of the share. correct the copy"
LIMIT_S = 30.0


async def test_a_reason_that_has_no_room_beside_a_share_is_read_before_it(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    ours, theirs = os.openpty()
    os.set_blocking(ours, False)
    shown = b""

    async def until(text: bytes) -> None:
        nonlocal shown
        async with asyncio.timeout(LIMIT_S):
            while text not in shown:
                try:
                    shown += os.read(ours, 65_536)
                except BlockingIOError:
                    await asyncio.sleep(0.01)

    with os.fdopen(theirs) as terminal, os.fdopen(os.dup(theirs), "w") as screen:
        monkeypatch.setattr(sys, "stdin", terminal)
        monkeypatch.setattr(sys, "stdout", screen)
        console = TerminalConsole(is_rehearsal=False)
        await console.say(REASON)
        showing = asyncio.create_task(console.show_share(SharePage("Share 1 of 5", "kai", WORDS, ("",) * 5)))
        await until(b"Enter shows the share")
        await until(b"\r\n   ")
        assert b"word1" not in shown
        assert b"correct the copy" in shown
        os.write(ours, b"\n")
        await until(b"word33")
        await showing
    os.close(ours)

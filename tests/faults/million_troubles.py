"""What goes wrong while a million operations are done (``test_a_million_operations``)."""

import asyncio
from collections import Counter

IDLE_S = 0.3
SOME_CODES = (
    ("C_DecryptInit", "CKR_SESSION_HANDLE_INVALID"),
    ("C_Decrypt", "CKR_SESSION_CLOSED"),
    ("C_DecryptInit", "CKR_KEY_HANDLE_INVALID"),
    ("C_EncryptInit", "CKR_OBJECT_HANDLE_INVALID"),
    ("C_DecryptInit", "CKR_OPERATION_ACTIVE"),
    ("C_Decrypt", "CKR_FUNCTION_FAILED"),
    ("C_Encrypt", "CKR_DEVICE_MEMORY"),
    ("C_EncryptInit", "CKR_GENERAL_ERROR"),
    ("C_EncryptInit", 0x8000_0BAD),
)
CHANCE = 1 / 5000
"""Of each of these, at each call of its function. A call that fails three times over, or again right after the module was
initialised anew, ends the worker, as it should; here it must live."""


class Trouble:
    """What goes wrong between batches; counts what can cost the login."""

    def __init__(self, shim, dice, call):
        self.shim, self.dice, self._call = shim, dice, call
        self.lost_logins = 0
        self.had = Counter()
        self._passing = []
        self._kinds = [
            self._log_out,
            self._forget_handles,
            self._lose_sessions,
            self._cut_link,
            self._lose_token,
            self._throttle,
            self._cap_sessions,
            self._be_slow,
        ]

    def start(self):
        self._chances = [self.shim.fail(function, code, chance=CHANCE) for function, code in SOME_CODES]

    async def _recovered(self):
        """Have one call recover from what was lost, with nothing else going wrong meanwhile."""
        for fault in self._chances:
            fault.lift()
        await self._call()
        self.start()

    async def next(self):
        """End what passes, and let the next thing go wrong: each kind in turn, in an order by chance."""
        for end in self._passing:
            end()
        self._passing.clear()
        least = min(self.had[kind.__name__] for kind in self._kinds)
        kind = self.dice.choice([kind for kind in self._kinds if self.had[kind.__name__] == least])
        self.had[kind.__name__] += 1
        await kind()

    async def _log_out(self):
        self.lost_logins += 1
        self.shim.log_out()

    async def _forget_handles(self):
        self.shim.fail("C_DecryptInit", "CKR_KEY_HANDLE_INVALID", last=1)

    async def _lose_sessions(self):
        """Every session dies of idleness, the one that holds the login among them; the next call finds out."""
        self.lost_logins += 1
        await asyncio.sleep(IDLE_S * 1.2)
        self.shim.drop_idle_sessions(IDLE_S)
        await self._recovered()
        self.shim.drop_idle_sessions(0)

    async def _cut_link(self):
        self.lost_logins += 1
        self.shim.cut_link()
        await self._recovered()

    async def _lose_token(self):
        self.lost_logins += 1
        self.shim.lose_token()
        await self._recovered()

    async def _throttle(self):
        self.shim.throttle(2000, burst=50)
        self._passing.append(lambda: self.shim.throttle(0))

    async def _cap_sessions(self):
        self.shim.cap_sessions(2)
        self._passing.append(lambda: self.shim.cap_sessions(0))

    async def _be_slow(self):
        slow = self.shim.delay("*", 0.0002, last=500)
        self._passing.append(slow.lift)

"""Fakes that really work, for the tests of this package and for those of who builds on it.

``FakeHsm`` encrypts with keys that it holds, copies roots by trusted wrapping and breaks on command.
``FakeMember`` is one as a ``core.HsmMember``; ``FakePerformer`` puts one behind a real ``hsm.worker``.

    >>> import asyncio
    >>> from strongroom.core import Deadline, Secret, SystemClock
    >>> hsm = FakeHsm("alpha")
    >>> root_id, member = hsm.make_root(), FakeMember(hsm)
    >>> async def there_and_back():
    ...     deadline = Deadline.after(SystemClock(), 5)
    ...     wrapped = await member.wrap(root_id, Secret(b"a key"), b"", deadline=deadline)
    ...     return await member.unwrap(root_id, wrapped, b"", deadline=deadline)
    >>> asyncio.run(there_and_back()).matches(Secret(b"a key"))
    True

Threading: ``FakeHsm``, its ``faults`` and ``FakePerformer`` are safe to use from any thread, ``FakeMember``
belongs to one event loop. Nothing here protects a key: it all lies in ordinary memory. No other room
imports this one.
"""

from strongroom.testing._clock import FakeClock
from strongroom.testing._events import Event, OpenGate, RecordingEvents
from strongroom.testing._faults import Faults
from strongroom.testing._hsm import FakeHsm
from strongroom.testing._member import FakeMember
from strongroom.testing._performer import FakePerformer

__all__ = [
    "Event",
    "FakeClock",
    "FakeHsm",
    "FakeMember",
    "FakePerformer",
    "Faults",
    "OpenGate",
    "RecordingEvents",
]

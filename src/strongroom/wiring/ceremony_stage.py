"""The home that a ceremony works on when it is no rehearsal: nothing is made up, and everybody has what they bring."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from strongroom.ceremony import ChangeOfficers, CollectShares, Console, Initialise, JoinMember, Participant
from strongroom.config import Home
from strongroom.core import ApprovalRequiredError
from strongroom.wiring.init_script_form import InitScript, RestoreScript, ScriptMember


class BlankCluster(NamedTuple):
    """What is to be initialised."""

    script: InitScript
    script_bytes: bytes
    genesis: bytes


class Stage(Protocol):
    """The real home, or that of a rehearsal. What is None is as the script says."""

    @property
    def home(self) -> Home:
        """The home; it need not be initialised yet."""
        ...

    async def open(self) -> None:
        """Get it ready."""
        ...

    async def approve(self, error: ApprovalRequiredError) -> bool:
        """Have the officers of a rehearsal sign what waits; False where officers are real, or have signed all."""
        ...

    async def blank(self, wanted: Initialise) -> BlankCluster | None:
        """What is initialised in a rehearsal."""
        ...

    async def initialised(self) -> None:
        """It was."""
        ...

    async def new_member(self, wanted: JoinMember) -> ScriptMember | None:
        """Who joins in a rehearsal."""
        ...

    async def officers_request(self, wanted: ChangeOfficers) -> bytes | None:
        """Which change of officers is made in a rehearsal."""
        ...

    async def give_rehearsed_shares(
        self, wanted: CollectShares, people: Sequence[Participant], console: Console
    ) -> None:
        """Make up a bundle, and give people the shares that open it, where a rehearsal has none."""
        ...

    @property
    def restored(self) -> Home:
        """The home that a restore makes."""
        ...

    async def restore_script(self) -> RestoreScript | None:
        """What is restored onto in a rehearsal."""
        ...

    async def sign(self, request: bytes) -> list[bytes]:
        """Have the officers of a rehearsal sign a document; none where officers are real."""
        ...

    def serving(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Have the service run for the length of the block."""
        ...

    async def remove(self) -> None:
        """The ceremony is over: remove what was made up."""
        ...


class RealStage:
    """A home that is there, or will be."""

    def __init__(self, home: Home) -> None:
        self._home = home

    @property
    def home(self) -> Home:
        """The home."""
        return self._home

    async def open(self) -> None:
        """It is as it is."""

    async def approve(self, error: ApprovalRequiredError) -> bool:  # noqa: ARG002  # the Protocol's shape
        """Officers are real."""
        return False

    async def blank(self, wanted: Initialise) -> BlankCluster | None:  # noqa: ARG002  # the Protocol's shape
        """As the script says."""
        return None

    async def initialised(self) -> None:
        """Nothing follows."""

    async def new_member(self, wanted: JoinMember) -> ScriptMember | None:  # noqa: ARG002  # the Protocol's shape
        """As the script says."""
        return None

    async def officers_request(self, wanted: ChangeOfficers) -> bytes | None:  # noqa: ARG002  # the Protocol's shape
        """As the script says."""
        return None

    async def give_rehearsed_shares(
        self, wanted: CollectShares, people: Sequence[Participant], console: Console
    ) -> None:
        """Everybody has their own."""

    @property
    def restored(self) -> Home:
        """The home itself."""
        return self._home

    async def restore_script(self) -> RestoreScript | None:
        """As the script says."""
        return None

    async def sign(self, request: bytes) -> list[bytes]:  # noqa: ARG002  # the Protocol's shape
        """Officers are real."""
        return []

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Whoever runs it runs it."""
        yield

    async def remove(self) -> None:
        """Nothing was made up."""

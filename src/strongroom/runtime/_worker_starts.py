"""Starts workers that serve: with the PIN that their token has, and never with one that it refused."""

from strongroom.config import Home, MemberConfig
from strongroom.core import EventSink, PinRefusedError, Secret
from strongroom.runtime._pin_changing import PinChanging
from strongroom.runtime._watch import StartedWorker
from strongroom.wiring.home import restore_runtime_folder
from strongroom.wiring.pin_refusals import refuse_known_pin, remember_refused_pin
from strongroom.wiring.workers import Child, member_bootstrap, member_environment, start_member


class WorkerStarts:
    """Starts the workers of a home's members."""

    def __init__(
        self,
        home: Home,
        pins: PinChanging,
        *,
        wrap_algorithm: int | None,
        approved_only: bool,
        events: EventSink,
    ) -> None:
        """``pins`` gives each worker its PIN, once what is to be done about the PIN was done."""
        self._home = home
        self._pins = pins
        self._wrap_algorithm = wrap_algorithm
        self._approved_only = approved_only
        self._events = events

    async def start(self, member: MemberConfig, generation: int) -> StartedWorker:
        """Start a worker of a member. Raises what ``PinChanging.ready_pin`` and ``start_member`` raise."""
        pin = await self._pins.ready_pin(member)
        try:
            return await self._start_with(member, pin, generation)
        finally:
            pin.zeroize()

    async def _start_with(self, member: MemberConfig, pin: Secret, generation: int) -> StartedWorker:
        refuse_known_pin(self._home, member, pin)
        sockets = restore_runtime_folder(self._home)
        bootstrap = member_bootstrap(
            member,
            self._home,
            "serve",
            pin=pin.reveal(),
            sockets=sockets,
            generation=generation,
            wrap_algorithm=self._wrap_algorithm,
            approved_only=self._approved_only,
        )
        try:
            child = await start_member(bootstrap, member_environment(member, self._home))
        except PinRefusedError:
            self._remember(member, pin)
            raise
        self._tell_protections(member, child)
        return StartedWorker(child, bootstrap.use_path)

    def _remember(self, member: MemberConfig, pin: Secret) -> None:
        """See that a restart of main does not try a refused PIN again, before anybody is told of the refusal.

        Mostly the worker has seen to it.
        """
        if (self._home.pin_refused / member.name).exists():
            return
        try:
            remember_refused_pin(self._home, member, pin)
        except OSError as error:
            self._events.emit("pin.refusal_not_kept", member=member.name, cause=error.strerror)

    def _tell_protections(self, member: MemberConfig, child: Child) -> None:
        for refused in child.started.protections:
            self._events.emit("worker.unprotected", member=member.name, what=refused)

"""``Token``: one token, opened, logged in and made safe to use from many threads."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Self

from strongroom.core import (
    BatchItem,
    Clock,
    Deadline,
    HsmError,
    RootId,
    Secret,
    SystemClock,
    WrapAlgorithm,
    WrappedBytes,
)
from strongroom.hsm.cryptoki import Module
from strongroom.hsm.token._admin import AdminVerbs
from strongroom.hsm.token._approved import ApprovedUse
from strongroom.hsm.token._batch import BatchVerbs, TokenBatch
from strongroom.hsm.token._counters import RecoveryCounters, Tally
from strongroom.hsm.token._data_objects import DataVerbs
from strongroom.hsm.token._direct import DirectVerbs
from strongroom.hsm.token._keep_alive import KeepAlive
from strongroom.hsm.token._link import Link
from strongroom.hsm.token._making import ObjectMaking
from strongroom.hsm.token._objects import ObjectFinder
from strongroom.hsm.token._pin import Pin, PinAttempts, UnkeptAttempts
from strongroom.hsm.token._pool import SessionPool
from strongroom.hsm.token._profile import Profile
from strongroom.hsm.token._recovery import Ladder
from strongroom.hsm.token._removal import RemovalVerbs
from strongroom.hsm.token._self_test import SelfTest, WrapAbility
from strongroom.hsm.token._transport import TransportVerbs
from strongroom.hsm.token._use import UseVerbs
from strongroom.hsm.token._values import KeyCheckValue, ObjectSummary, Role, TokenIdentity, TokenSelector
from strongroom.hsm.token._work import Workshop
from strongroom.hsm.token._wrappings import wrapping_for

_CLOSE_LIMIT_S: Final = 0.5
_RECOVERY_SHARE: Final = 0.8
"""Of the time that a caller waits, or after which main takes a use verb for hung: no rung begins later than that."""
_SYSTEM_CLOCK: Final = SystemClock()
_UNKEPT_ATTEMPTS: Final = UnkeptAttempts()


def _tell_nobody(_pin: Secret) -> None:
    """Remember no refusal: for those who open a token once and end."""


class Token:
    """One token of one module. Make it with ``Token.open``; one process opens a token once.

    Every verb can raise MemberFailedError (another member may do better; see ``is_broken``), HsmRequestError
    (none will) and HsmError.
    """

    def __init__(
        self,
        link: Link,
        *,
        profile: Profile,
        clock: Clock,
        wrap_algorithm: WrapAlgorithm | None = None,
        approved_only: bool = False,
    ) -> None:
        module, role = link.module, link.role
        finder, tally = ObjectFinder(module), Tally()
        self._identity = link.identity
        self._clock = clock
        self._pool = _pool(link, profile, tally=tally, clock=clock)
        self._ladder = Ladder(link, self._pool, finder, profile=profile, tally=tally, clock=clock)
        self._workshop = Workshop(
            module,
            self._pool,
            self._ladder,
            use_limit_s=profile.operation_limit_s * _RECOVERY_SHARE,
            change_limit_s=profile.admin_operation_limit_s,
            tally=tally,
            clock=clock,
        )
        self._keep_alive = KeepAlive(
            module, self._pool, self._ladder, idle_limit_s=profile.idle_limit_s, clock=clock
        )
        self._keep_alive.start()
        algorithm = profile.wrap_algorithm if wrap_algorithm is None else wrap_algorithm
        approved = ApprovedUse(is_only=approved_only)
        approved.require_wrapping(algorithm)
        wrapping = wrapping_for(module, profile, algorithm)
        self._wrap_algorithm = algorithm
        self._use = UseVerbs(module, finder, self._workshop, wrapping=wrapping)
        self._admin = AdminVerbs(
            module, finder, self._workshop, profile=profile, role=role, wrap_algorithm=algorithm, clock=clock
        )
        self._self_test = SelfTest(module, ObjectMaking(module, finder), self._workshop, profile=profile)
        self._removal = RemovalVerbs(module, finder, self._workshop, role=role)
        self._transport = TransportVerbs(module, finder, self._workshop, profile=profile, role=role)
        self._direct = DirectVerbs(
            module, finder, self._workshop, profile=profile, clock=clock, approved=approved
        )
        self._data = DataVerbs(module, finder, self._workshop, profile=profile, role=role)
        self._batches = BatchVerbs(self._use, self._direct, self._workshop, clock=clock)

    @classmethod
    def open(
        cls,
        module: Module,
        selector: TokenSelector,
        pin: Secret,
        *,
        profile: Profile,
        role: Role = Role.USER,
        wrap_algorithm: WrapAlgorithm | None = None,
        approved_only: bool = False,
        clock: Clock = _SYSTEM_CLOCK,
        pin_refused: Callable[[Secret], None] = _tell_nobody,
        pin_attempts: PinAttempts = _UNKEPT_ATTEMPTS,
    ) -> Self:
        """Select exactly one token and log in, with one try.

        ``wrap_algorithm`` is the cluster's; None takes the profile's own. ``approved_only``: FIPS mode, see ``ApprovedUse``.
        Keeps a copy of the PIN until ``close``, to log in again when the login is lost. ``pin_refused`` is called
        with the PIN once it was refused, now or later, before anybody else is told; it must not raise. ``pin_attempts`` keeps
        that a try is under way, in case that this process ends in the middle of it. Raises
        TokenNotFoundError, PinRefusedError (the PIN must not be tried again before it was checked by hand) and
        MemberFailedError.
        """
        owned = Pin(pin, refused=pin_refused, attempts=pin_attempts)
        try:
            link = Link.open(module, selector, owned, role)
            return cls(
                link,
                profile=profile,
                clock=clock,
                wrap_algorithm=wrap_algorithm,
                approved_only=approved_only,
            )
        except BaseException:
            owned.forget()
            raise

    @property
    def identity(self) -> TokenIdentity:
        """Who the token says it is."""
        return self._identity

    @property
    def is_broken(self) -> bool:
        """Whether this process can do nothing more with the token and must be restarted."""
        return self._workshop.broken_because is not None

    @property
    def broken_because(self) -> str | None:
        """What happened when ``is_broken``; holds no secret."""
        return self._workshop.broken_because

    @property
    def wrap_algorithm(self) -> WrapAlgorithm:
        """The one by which this token wraps: its cluster's. Every other one is refused."""
        return self._wrap_algorithm

    def prove_profile(self) -> None:
        """Prove on a throw-away root that the token does what its profile says.

        Raises HsmError that names the field of the profile which is wrong.
        """
        self._self_test.prove(self._wrap_algorithm)

    def wrap_abilities(self, *, until_first: bool = False) -> tuple[WrapAbility, ...]:
        """Try every wrap algorithm that a cluster can have on throw-away roots, the best first.

        ``until_first`` ends with the first that works.
        """
        return self._self_test.abilities(until_first=until_first)

    @property
    def recoveries(self) -> RecoveryCounters:
        """How often each rung of recovery was taken."""
        return self._workshop.recoveries

    @property
    def direct(self) -> DirectVerbs:
        """Keys that live in the token, and every use of them."""
        return self._direct

    def have_time(self, seconds: float | None) -> None:
        """Give the verbs that this thread calls from now on so long for recovery, all together.

        None: the limits of the profile alone, which hold besides.
        """
        self._workshop.have_time(None if seconds is None else seconds * _RECOVERY_SHARE)

    def wrap(self, root_id: RootId, key_bytes: Secret, aad: bytes) -> WrappedBytes:
        """Encrypt 1 to 4,096 bytes under a root inside the token, with a fresh random IV, bound to ``aad``.

        Under HSM_RSA_OAEP the most is what the modulus leaves: 308 bytes with SHA-1, 286 with SHA-256, for 3,072 bits.
        ``aad`` has at most 8,192 bytes. Raises HsmKeyNotFoundError when the token does not hold the root.
        """
        return self._use.wrap(root_id, key_bytes, aad)

    def unwrap(self, root_id: RootId, wrapped: WrappedBytes, aad: bytes) -> Secret:
        """Decrypt what ``wrap`` made. Raises HsmIntegrityError when it does not authenticate.

        A token that cannot name a wrong tag (CKR_GENERAL_ERROR) is probed with a known answer: when it fails that
        too, the member is at fault and MemberFailedError is raised instead.
        """
        return self._use.unwrap(root_id, wrapped, aad)

    def batch(self, items: Sequence[BatchItem]) -> TokenBatch:
        """Begin a batch; ``TokenBatch.advance`` does it, and never raises an HsmError."""
        return TokenBatch(items, self._batches)

    def random(self, n_bytes: int) -> Secret:
        """Return 1 to 1,024 bytes of the token's own generator."""
        return self._use.random(n_bytes)

    def has_root(self, root_id: RootId) -> bool:
        """Ask the token whether it holds the root. Raises MemberFailedError when it holds it twice, or by half."""
        return self._use.has_root(root_id)

    def generate_root(self, root_id: RootId, label: str) -> KeyCheckValue:
        """Generate a root KEK as token objects whose CKA_IDs are those of ``core.root_object_ids``.

        Its keys are sensitive and may do what the wrap algorithm needs and nothing else. They can leave the token only
        under a key that the security officer trusts; where the profile does not replicate by trusted wrapping, not at
        all. Every attribute is read back; when one differs, the root is destroyed and HsmError raised. Raises
        HsmRequestError when an object of one of the CKA_IDs exists.
        """
        return self._admin.generate_root(root_id, label)

    def destroy_root(self, root_id: RootId) -> None:
        """Destroy every object of a root for good, and look again, in a new session, that they are gone.

        Needs ``Role.USER``. Nothing but what is a root of this cluster's wrap algorithm is touched, whatever has the same
        CKA_ID. Raises HsmKeyNotFoundError when there is nothing of it, and HsmError when the token still shows it.
        """
        self._removal.destroy_root(root_id, self._wrap_algorithm)

    def generate_import_pair(self, cka_id: bytes, label: str) -> bytes:
        """Generate the RSA pair under which a root comes in; return its public half as SubjectPublicKeyInfo (DER).

        The private half is not extractable and may only unwrap, and only to keys that are as ``generate_root``
        makes them (CKA_UNWRAP_TEMPLATE). Raises as ``generate_root``; so a token that does not keep or show that
        template gets no pair.
        """
        return self._admin.generate_import_pair(cka_id, label)

    def destroy_import_pair(self, cka_id: bytes) -> None:
        """Destroy both halves of an import pair, whatever is left of it, and look again that it is gone.

        Needs ``Role.USER``. Raises HsmKeyNotFoundError when there is neither half, and HsmError when the token
        still shows one.
        """
        self._removal.destroy_import_pair(cka_id)

    def import_trusted_public(self, cka_id: bytes, label: str, spki_der: bytes) -> None:
        """Take the public half of another token's import pair as trusted, so that roots may leave under it.

        Needs ``Role.SECURITY_OFFICER``. Whoever calls has checked the key's fingerprint. Raises HsmRequestError
        on a key that is not RSA with 2,048 to 8,192 bits and the exponent 65,537, and as ``generate_root``.
        """
        self._admin.import_trusted_public(cka_id, label, spki_der)

    def destroy_trusted_public(self, cka_id: bytes) -> None:
        """Destroy a trusted public key, so that no root can leave under it, and look again that it is gone.

        Raises as ``destroy_import_pair``; either role may.
        """
        self._removal.destroy_trusted_public(cka_id)

    def wrap_out_root(self, root_id: RootId, *, wrapping_cka_id: bytes) -> bytes:
        """Wrap every object of a root under a trusted public key (RSA-OAEP, hash by profile), one after the other.

        Raises HsmRequestError when the key is not trusted, the root is an RSA pair, or it may not leave.
        """
        return self._admin.wrap_out_root(root_id, wrapping_cka_id=wrapping_cka_id)

    def unwrap_in_root(
        self, root_id: RootId, label: str, *, import_cka_id: bytes, wrapped: bytes, expected: KeyCheckValue
    ) -> KeyCheckValue:
        """Take in a root that ``wrap_out_root`` of another token made. Raises as ``generate_root``.

        What has another check value than ``expected`` is destroyed, and HsmIntegrityError raised. The check value
        spots mix-ups only; that both tokens hold the same key is proved by one unwrapping what the other wrapped.
        """
        return self._admin.unwrap_in_root(
            root_id, label, import_cka_id=import_cka_id, wrapped=wrapped, expected=expected
        )

    def root_check_value(self, root_id: RootId) -> KeyCheckValue:
        """Return the key check value of a root."""
        return self._admin.root_check_value(root_id)

    @property
    def transport(self) -> TransportVerbs:
        """Transport keys, and the keys that travel under them."""
        return self._transport

    @property
    def data(self) -> DataVerbs:
        """Small values that the token keeps, where its profile says that it can (``Profile.data_objects``)."""
        return self._data

    def holds_object(self, cka_id: bytes) -> bool:
        """Ask the token whether any object has this CKA_ID, as far as this role sees them."""
        return self._admin.holds_object(cka_id)

    def read_back(self, cka_id: bytes) -> list[tuple[str, dict[str, bool]]]:
        """Return class and attributes (``CKA_…``) of each object of this CKA_ID: truths that say what may be done to it."""
        return self._admin.read_back(cka_id)

    def list_objects(self) -> list[ObjectSummary]:
        """List the token objects that this role may see; half-written ones are listed as ghosts."""
        return self._admin.list_objects()

    def close(self) -> None:
        """Log out, close every session, forget the PIN; no error of a dying module gets out.

        The module stays initialised.
        """
        self._keep_alive.stop()
        self._transport.close()
        self._pool.close()
        with suppress(HsmError):
            self._ladder.close(Deadline.after(self._clock, _CLOSE_LIMIT_S))


def _pool(link: Link, profile: Profile, *, tally: Tally, clock: Clock) -> SessionPool:
    most = profile.max_sessions
    for said in (link.info.max_session_count, link.info.max_rw_session_count):
        if said:  # 0: unlimited, or the token does not say
            most = max(1, min(most, said - 1))
    return SessionPool(
        link.module,
        link.slot,
        max_sessions=most,
        wait_s=profile.session_wait_s,
        clock=clock,
        sessions_per_s=profile.sessions_per_s,
        idle_limit_s=profile.idle_limit_s,
        tally=tally,
    )

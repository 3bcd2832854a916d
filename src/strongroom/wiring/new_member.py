"""A member that joins later: from a blank token, described in a file, to a member whose token has a user.

The same steps as for the members of ``init``, by a journal of its own (``member-NAME-journal.json`` of the home), so that an
interrupted ``strongroom members add`` goes on. What comes then, the exchange of keys, is ``member_addition``'s.
"""

import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from strongroom.config import Home, MemberConfig, load_config, toml_value
from strongroom.core import Clock, ConfigError, HomeError, Secret
from strongroom.custody import Chain, CustodyState, Role
from strongroom.storage import MemberRecord, Store
from strongroom.wiring.bootstrap import ApprovedReset, TokenFound
from strongroom.wiring.cluster_setup import Progress
from strongroom.wiring.durable_files import sync_folder, write_durably
from strongroom.wiring.home_script import check_member
from strongroom.wiring.init_audit import record_joined
from strongroom.wiring.init_journal import MemberJournal, MemberStep
from strongroom.wiring.init_members import NewMember
from strongroom.wiring.init_script_form import ScriptMember
from strongroom.wiring.pin_sealing import sealing_key

_MAX_BYTES: Final = 64 * 1024


class _MemberFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file with one table, ``[member]``, as ``[[members]]`` of a script."""

    member: ScriptMember


class _Journal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far one new member came."""

    version: int
    described: ScriptMember
    came: MemberJournal
    approval: str = ""
    """The request under which it is added, once that was claimed."""
    reset_approval: str = ""
    """The request under which its token is erased, once that was claimed."""
    is_joined: bool = False
    """It is in the records and the configuration: all that is left to do is to remove what nobody needs any more."""


def read_member_file(path: Path) -> ScriptMember:
    """Read the description of a new member. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ConfigError(f"{path} is longer than {_MAX_BYTES} bytes")
        member = msgspec.convert(tomllib.loads(data.decode()), _MemberFile, strict=True).member
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML") from error
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error
    check_member(member, is_alone=False)
    return member


class ResetOrder(NamedTuple):
    """What lets a token be erased, and by which request."""

    approval: str
    reset: ApprovedReset


class Resetting(NamedTuple):
    """How the leave to erase a token is come by."""

    approved: Callable[[str, str], Awaitable[ResetOrder]]
    """Claims the approval for a member, or goes on with the one that was claimed. Raises ApprovalRequiredError."""
    so_pin: Callable[[MemberConfig], Secret]
    """Presents the PIN of the token's security officer."""


class Joining:
    """One member on its way in."""

    def __init__(self, home: Home, described: ScriptMember, *, clock: Clock, progress: Progress) -> None:
        """Raises ConfigError for a home that seals no PINs, or another description than the one that was begun."""
        self._home = home
        self._described = described
        self._clock = clock
        self._path = home.root / f"member-{described.name}-journal.json"
        key = sealing_key(load_config(home.root).pins, home)
        self._member = NewMember(home, described, key, clock=clock, progress=progress)
        self._journal = self._load()

    @property
    def approval(self) -> str:
        """The id of the request under which it is being added; empty: none was claimed."""
        return "" if self._journal is None else self._journal.approval

    @property
    def config(self) -> MemberConfig:
        """The member's configuration. Raises HomeError before ``prepare``."""
        return self._member.config(self._came())

    @property
    def token(self) -> TokenFound:
        """Its token. Raises HomeError before ``prepare``."""
        found = self._came().token
        if found is None:
            raise HomeError(f"the journal does not say which token member {self._described.name} has")
        return found

    async def prepare(self, chain: Chain | None, reset: Resetting | None = None) -> None:
        """Initialise its token, unless that is done. Touches no token but a blank one, or the one that ``reset`` names.

        Raises as the steps of ``init``, and ApprovalRequiredError for a token that officers have not let be erased.
        """
        if chain is None:
            raise HomeError(
                f"{self._home.root} has no officers, so nobody could be given the PIN of the new token's security officer",
                next_step="describe the member in strongroom.toml, and initialise its token with the vendor's tool",
            )
        recipients = receivers_in_force(chain.state, self._described)
        came = None if self._journal is None else self._journal.came
        if reset is not None and (
            came is None or came.step in {MemberStep.PINS_SEALED, MemberStep.TOKEN_BEGUN}
        ):
            came = await self._reset(reset)
        if came is None:
            came = self._took(self._member.make_pins())
        if came.step in {MemberStep.PINS_SEALED, MemberStep.TOKEN_BEGUN}:
            is_again = came.step is MemberStep.TOKEN_BEGUN
            if not is_again:  # what a member of this name remembered was of another token
                for folder in ("pins", "used"):
                    (self._home.custody / folder / self.name).unlink(missing_ok=True)
            self._took(msgspec.structs.replace(came, step=MemberStep.TOKEN_BEGUN))
            came = self._took(await self._member.make_token(is_again=is_again))
        if came.step is MemberStep.TOKEN_MADE:
            self._member.deliver_so_pin(came, recipients)
            self._took(await self._member.set_user_pin(came))

    async def _reset(self, reset: Resetting) -> MemberJournal:
        if self._journal is None:
            self._took(
                self._member.make_pins()
            )  # what stays of the token's own PIN is not here before it is needed
        elif self._came().step is MemberStep.TOKEN_BEGUN and not self._there().reset_approval:
            raise HomeError(
                f"an earlier run was interrupted while it initialised a blank token for member {self.name}:"
                " the PIN of that token's security officer is here alone",
                next_step="run the command without --reset, which goes on with the blank token",
            )
        order = await reset.approved(self._described.name, self._there().reset_approval)
        self._save(msgspec.structs.replace(self._there(), reset_approval=order.approval))
        so_pin = reset.so_pin(self._member.blank_config)  # anew each time: it may have been the wrong one
        came = self._took(self._member.make_pins(so_pin))
        for folder in ("pins", "used"):
            (self._home.custody / folder / self.name).unlink(missing_ok=True)
        self._took(msgspec.structs.replace(came, step=MemberStep.TOKEN_BEGUN))
        return self._took(await self._member.reset_token(order.reset))

    def claimed(self, approval: str) -> None:
        """Note under which request it is added, before anything is done under it."""
        self._save(msgspec.structs.replace(self._there(), approval=approval))

    async def join(self, store: Store) -> None:
        """Put it into the records and the configuration, and ``end``. May be repeated."""
        name = self._described.name
        position = len(store.list_members())
        record = MemberRecord(name, self._described.profile, self.token.serial, self.token.label, position)
        if name not in {member.name for member in store.list_members()}:
            await store.write(lambda tx: tx.insert_member(record))
        if name not in {member.name for member in load_config(self._home.root).cluster.members}:
            self._configure()
        await record_joined(self._home, name, self.token, approval=self.approval, clock=self._clock)
        self._save(msgspec.structs.replace(self._there(), is_joined=True))
        self.end()

    @property
    def is_joined(self) -> bool:
        """Whether it has everything, and an earlier run was cut off before its very end (``end``)."""
        return self._journal is not None and self._journal.is_joined

    def end(self) -> None:
        """Remove the PIN of its security officer from this host, and the journal. May be repeated."""
        self._member.forget()
        self._path.unlink(missing_ok=True)
        sync_folder(self._home.root)

    @property
    def name(self) -> str:
        """Its name."""
        return self._described.name

    @property
    def is_begun(self) -> bool:
        """Whether something was done, which the journal tells."""
        return self._journal is not None

    def so_pin(self) -> Secret:
        """Return the PIN of its security officer, which is here until it joined. Raises SealedPinError."""
        return self._member.so_pin()

    def _configure(self) -> None:
        text = self._home.config_file.read_text()
        table: dict[str, object] = msgspec.to_builtins(self.config)
        lines = ["", "[[cluster.members]]", *(f"{key} = {toml_value(value)}" for key, value in table.items())]
        write_durably(
            self._home.config_file, (text.rstrip() + "\n" + "\n".join(lines) + "\n").encode(), mode=0o600
        )

    def _took(self, came: MemberJournal) -> MemberJournal:
        there = self._journal or _Journal(1, self._described, came)
        self._save(msgspec.structs.replace(there, came=came))
        return came

    def _save(self, journal: _Journal) -> None:
        write_durably(self._path, msgspec.json.format(msgspec.json.encode(journal)), mode=0o600)
        self._journal = journal

    def _came(self) -> MemberJournal:
        return self._there().came

    def _there(self) -> _Journal:
        if self._journal is None:
            raise HomeError(f"member {self._described.name} was not begun")
        return self._journal

    def _load(self) -> _Journal | None:
        try:
            with self._path.open("rb") as file:
                journal = msgspec.json.decode(file.read(_MAX_BYTES), type=_Journal)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise HomeError(
                f"the journal {self._path} cannot be read: {error}",
                next_step="restore it; or reset the token with the vendor's tool, remove the journal and begin anew",
            ) from error
        if journal.described != self._described:
            raise ConfigError(
                f"member {self._described.name} was begun by another description",
                next_step="give the file that it was begun with",
            )
        return journal


def receivers_in_force(state: CustodyState, member: ScriptMember) -> tuple[str, ...]:
    """Return the recipients of the officers who get the PIN of the security officer of a member's token. Raises ConfigError."""
    officers = [one for one in state.signers(Role.SECURITY_OFFICER) if one.recipient]
    chosen = [one for one in officers if not member.security_officers or one.id in member.security_officers]
    if not chosen or (member.security_officers and len(chosen) != len(set(member.security_officers))):
        raise ConfigError(
            f"member {member.name}: not everybody who shall have the PIN of its security officer is one and has a recipient",
            next_step="see: strongroom officers list",
        )
    return tuple(one.recipient for one in chosen)

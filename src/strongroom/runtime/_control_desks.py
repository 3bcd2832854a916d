"""What is asked of main at its control socket: keys, roots, PINs, backups and custodians; made and started before the first member is."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from strongroom.audit import AuditLog
from strongroom.config import Config, Home
from strongroom.core import Clock, EventSink
from strongroom.runtime._audit_retention import AuditRetention
from strongroom.runtime._backup_keeping import BackupKeeping
from strongroom.runtime._backup_reminders import BackupReminders
from strongroom.runtime._custodian_keeping import CustodianKeeping
from strongroom.runtime._custodian_reminders import CustodianReminders
from strongroom.runtime._custody_keeping import CustodyKeeping
from strongroom.runtime._key_door import KeyDoor
from strongroom.runtime._key_making import KeyMaking
from strongroom.runtime._pin_changing import PinChanging
from strongroom.runtime._pin_keeping import PinKeeping
from strongroom.runtime._pin_officers import OfficerPins
from strongroom.runtime._pin_reminders import PinReminders
from strongroom.runtime._reconciling import Reconciling
from strongroom.runtime._root_keeping import RootKeeping
from strongroom.runtime._supervisor import Supervisor
from strongroom.storage import Store


@dataclass(frozen=True)
class ControlDesks:
    """Opens them. Of main, once."""

    config: Config
    home: Home
    store: Store
    audit: AuditLog
    events: EventSink
    clock: Clock
    supervisor: Supervisor
    custody: CustodyKeeping | None
    api_pids: Callable[[], Collection[int]]

    async def open_keys(self, keys: Reconciling) -> None:
        """Make and destroy Direct keys for API processes, and roots for the owner of the home. Raises StorageError."""
        making = KeyMaking(
            self.store,
            keys,
            most_keys=self.config.cluster.max_direct_keys,
            custody=self.custody,
            events=self.events,
            clock=self.clock,
        )
        await making.start()
        self.supervisor.control.keys = KeyDoor(making, self.api_pids, events=self.events)
        self.supervisor.control.roots = RootKeeping(
            self.store,
            keys,
            self.audit,
            api_pids=self.api_pids,
            custody=self.custody,
            request_s=self.config.deadlines.request_s,
            events=self.events,
            clock=self.clock,
        )
        self.supervisor.control.roots.start()
        self._open_backups(keys)

    def _open_backups(self, keys: Reconciling) -> None:
        """Make backups for the owner of the home, and remind of those that grow old."""
        control = self.supervisor.control
        control.backups = BackupKeeping(
            self.config,
            self.home,
            self.store,
            keys,
            self.audit,
            api_pids=self.api_pids,
            custody=self.custody,
            events=self.events,
            clock=self.clock,
        )
        control.backups.start()
        reminders = BackupReminders(self.home, self.config, self.store, events=self.events, clock=self.clock)
        reminders.start()
        control.reminders.append(reminders)

    def open_pins(self, pins: PinChanging, officers: OfficerPins) -> None:
        """Change PINs for the owner of the home, and remind of those that are due."""
        members = self.config.cluster.members
        self.supervisor.control.pins = PinKeeping(
            {member.name: member for member in members},
            pins,
            renew=self.supervisor.renew,
            serves=self.supervisor.serves,
            officers=officers,
            custody=self.custody,
            audit=self.audit,
            api_pids=self.api_pids,
            events=self.events,
        )
        self.supervisor.control.pins.start()
        reminders = PinReminders(self.home, members, self.config.pins, events=self.events, clock=self.clock)
        reminders.start()
        self.supervisor.control.reminders.append(reminders)

    def open_custodians(self) -> None:
        """Look after the custodians of backups for the owner of the home, and remind of what is due."""
        reminders = CustodianReminders(
            self.store, self.config.custodians, events=self.events, clock=self.clock
        )
        reminders.start()
        self.supervisor.control.reminders.append(reminders)
        self.supervisor.control.custodians = CustodianKeeping(
            self.store,
            self.audit,
            api_pids=self.api_pids,
            custody=self.custody,
            changed=reminders.look,
            clock=self.clock,
        )

    def open_retention(self) -> None:
        """Archive the audit log by itself, and prune it for the owner of the home."""
        retention = AuditRetention(
            self.home,
            self.config.audit,
            self.audit,
            api_pids=self.api_pids,
            custody=self.custody,
            events=self.events,
            clock=self.clock,
        )
        retention.start()
        self.supervisor.control.retention = retention

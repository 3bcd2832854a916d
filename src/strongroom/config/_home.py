"""Where things lie in the home directory."""

from pathlib import Path
from typing import NamedTuple


class Home(NamedTuple):
    """The home directory (mode 0700) and the names in it."""

    root: Path

    @property
    def config_file(self) -> Path:
        """The configuration."""
        return self.root / "strongroom.toml"

    @property
    def database(self) -> Path:
        """Keys, aliases, members: everything but audit entries. Holds wrapped keys only."""
        return self.root / "strongroom.db"

    @property
    def audit(self) -> Path:
        """The audit log."""
        return self.root / "audit"

    @property
    def pins(self) -> Path:
        """PINs of development members and the development access key; files of mode 0400."""
        return self.root / "pins"

    @property
    def pin_attempts(self) -> Path:
        """What is known of each member's tries to log in (``wiring.pin_attempts``)."""
        return self.root / "pin-attempts"

    @property
    def pin_refused(self) -> Path:
        """A marker per member whose token refused its PIN (``wiring.pin_refusals``)."""
        return self.root / "pin-refused"

    @property
    def pin_changes(self) -> Path:
        """What is known of each member's last change of a PIN (``wiring.pin_changes``)."""
        return self.root / "pin-changes"

    @property
    def tokens(self) -> Path:
        """SoftHSM tokens of development, a folder each."""
        return self.root / "tokens"

    @property
    def tls(self) -> Path:
        """Certificates and the server's key."""
        return self.root / "tls"

    @property
    def development_access_key(self) -> Path:
        """The access key that ``init --development`` made, as JSON; mode 0400."""
        return self.pins / "development-access-key.json"

    @property
    def lock_file(self) -> Path:
        """Locked by whoever changes the home: ``serve`` and ``init``."""
        return self.root / "lock"

    @property
    def unfinished_mark(self) -> Path:
        """Stands here while ``init`` is at work: a home with it is half initialised."""
        return self.root / "init-unfinished"

    @property
    def custody(self) -> Path:
        """What concerns officers: genesis, deliveries, and what members remember of approvals; of homes that have officers only."""
        return self.root / "custody"

    @property
    def genesis_file(self) -> Path:
        """The genesis that the officers signed."""
        return self.custody / "genesis.json"

    @property
    def backups(self) -> Path:
        """Bundles that ``backup create`` was given no other place for, and what is known of vendors' own backups."""
        return self.root / "backups"

    @property
    def access_keys(self) -> Path:
        """Access keys that ``init --script`` made, as JSON, mode 0400: to be taken and removed."""
        return self.root / "access-keys"

    @property
    def init_journal(self) -> Path:
        """Stands here while ``init --script`` is at work: how far it came."""
        return self.root / "init-journal.json"

    @property
    def restore_journal(self) -> Path:
        """Stands here while ``backup restore`` is at work: how far it came."""
        return self.root / "restore-journal.json"

    @property
    def restored_from(self) -> Path:
        """Which bundle a restored home was made of."""
        return self.root / "restored-from.json"

"""What can be wrong with a backup set, a bundle, or the two together.

BackupError (StrongroomError)
├── NotABundleError          the file does not begin as a bundle does
├── NewerBundleError         a bundle, or a set, of a version that this software does not know
├── TruncatedBundleError     a bundle that ends too early
├── AlteredBundleError       a part of a bundle is not as it was signed; ``part`` says which one
├── MalformedSetError        bytes that are no document of a backup set
├── WrongSetError            the bundle was made for another set, or the document of the set is another one
├── AlteredShareError        a share that is not the one that its custodian was given
├── MissingKeyError          the bundle holds no key that is needed to open it, or what is to be taken from it
└── UnusableBackupError      a bundle is as it was signed, and what it holds is not what it says
"""

from typing import Literal

from strongroom.core import StrongroomError

BundlePart = Literal["manifest", "signature", "snapshot"]


class BackupError(StrongroomError):
    """Root of the errors of this room."""


class NotABundleError(BackupError):
    """The file does not begin as a bundle does."""

    def __init__(self) -> None:
        super().__init__(
            "this is no backup bundle of Strongroom: it does not begin as one",
            next_step="name a file that 'strongroom backup create' wrote; it was perhaps changed as text on its way",
        )


class NewerBundleError(BackupError):
    """A bundle, or a set, of a version that this software does not know."""

    def __init__(self, what: str, version: str) -> None:
        super().__init__(
            f"this {what} is of version {version}, which this software does not know",
            next_step="use the Strongroom that made it, or a later one",
        )


class TruncatedBundleError(BackupError):
    """A bundle that ends too early."""

    def __init__(self, within: str) -> None:
        super().__init__(
            f"the bundle ends too early, within its {within}",
            next_step="fetch it again from where it is kept, and compare its size and sha256sum with 'strongroom backup list'",
        )


class AlteredBundleError(BackupError):
    """A part of a bundle is not as it was signed."""

    def __init__(self, part: BundlePart, why: str) -> None:
        super().__init__(
            f"the {part} of the bundle was altered: {why}",
            next_step="use another copy of this bundle, or an older one; keep this one for whoever looks into it",
        )
        self.part: BundlePart = part


class MalformedSetError(BackupError):
    """The bytes are no document of a backup set."""


class WrongSetError(BackupError):
    """The bundle was made for another set, or the document of the set is another one."""


class MissingKeyError(BackupError):
    """The bundle, or its set, holds no such key."""


class UnusableBackupError(BackupError):
    """A bundle is as it was signed, and what it holds is not what it says: it was made from something that was wrong."""

    def __init__(self, message: str) -> None:
        super().__init__(
            message,
            next_step="look at the members (strongroom members test), make another backup, and verify that one too",
        )

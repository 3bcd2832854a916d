"""How errors about single versions of a key, inventories, recent use and quotas are answered: error, code, message."""

from api_support import ACCOUNT, REGION
from strongroom.keyring import (
    InventoryLimitError,
    InventoryUnfitError,
    VersionNotFoundError,
    VersionRetiredError,
    VersionStateError,
)
from strongroom.service import InRecentUseError, QuotaExceededError

ABSENT = "12345678-1234-1234-1234-123456789012"
ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{ABSENT}"
SLOWER = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."

VERSION_ERRORS = [
    (VersionNotFoundError(ABSENT, 7), "NotFoundException", f"{ARN} has no version 7."),
    (VersionStateError(ABSENT, 7, "is the current one"), "KMSInvalidStateException", f"Version 7 of {ARN} is the current one."),
    (VersionRetiredError(ABSENT, 7, material_id=""), "KMSInvalidStateException", f"Version 7 of {ARN}, which this ciphertext is under, was retired."),
    (InventoryUnfitError(ABSENT, "is of another key"), "ValidationException", "The inventory is of another key."),
    (InventoryLimitError(ABSENT, 9), "LimitExceededException", f"There are 9 inventories about {ARN}, which is the most."),
    (InRecentUseError("the key was used yesterday"), "AccessDeniedException", "The key was used yesterday."),
    (QuotaExceededError(1.0), "ThrottlingException", SLOWER),
]  # fmt: skip

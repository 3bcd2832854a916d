"""Joins the quotas of the configuration with the memory in which all API processes count."""

from typing import Final

from strongroom.config import Config, Home, QuotaConfig, QuotasConfig
from strongroom.core import Clock, HomeError
from strongroom.service import FOR_EVERYBODY, ROLES_FOR, Quota, QuotaRules, Quotas, QuotaTable
from strongroom.wiring.home import restore_runtime_folder

_FILE_NAME: Final = "quotas"
_OPERATIONS: Final = frozenset(ROLES_FOR) - {"ReEncryptFrom", "ReEncryptTo"} | {"ReEncrypt"} | FOR_EVERYBODY


def check_quotas(config: Config) -> Config:
    """Return a configuration whose quotas are of operations that there are. Raises ConfigError."""
    config.quotas.checked(_OPERATIONS)
    return config


def open_quotas(config: QuotasConfig, home: Home, clock: Clock) -> Quotas | None:
    """Return what counts; None when nothing is limited. Raises HomeError.

    The file lies beside the sockets of the service, which empties that folder when it starts.
    """
    rules = QuotaRules(
        _quota(config.principal),
        _quota(config.key),
        {name: Quota(quota.rate, quota.burst) for name, quota in config.operations.items()},
    )
    if not rules.limit_anything:
        return None
    path = restore_runtime_folder(home) / _FILE_NAME
    try:
        table = QuotaTable.open(path)
    except OSError as error:
        raise HomeError(f"cannot share the quotas in {path}: {error.strerror}") from error
    return Quotas(rules, table, clock=clock)


def _quota(config: QuotaConfig | None) -> Quota | None:
    return None if config is None else Quota(config.rate, config.burst)

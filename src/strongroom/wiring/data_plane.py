"""Builds what an API process serves: store, keyring, audit log, service and its health."""

from typing import NamedTuple

from strongroom.audit import AuditLog
from strongroom.config import Config, Home
from strongroom.core import Clock, EventSink, HsmKeyMaker, StrongroomError
from strongroom.hsm.cluster import HsmCluster
from strongroom.keyring import CacheLimits, HsmAccess, Keyring, RootRewrapping, find_software_module
from strongroom.service import (
    AccessBook,
    AccessWriter,
    CustodyKeeping,
    KeyAuthority,
    LifecycleRules,
    PartitionPolicy,
    RefusalRules,
    Refusals,
    RootRewraps,
    Service,
)
from strongroom.storage import Store
from strongroom.wiring.access_keys import AccessKeys
from strongroom.wiring.configured_callers import configured_callers, officers_of
from strongroom.wiring.context_values import open_context_values
from strongroom.wiring.events import LoggedEvents
from strongroom.wiring.health import DataPlaneHealth
from strongroom.wiring.quotas import open_quotas
from strongroom.wiring.root_status import root_status_of


class DataPlane(NamedTuple):
    """The parts of an API process that live as long as it does."""

    service: Service
    health: DataPlaneHealth
    keyring: Keyring
    store: Store
    audit: AuditLog
    access_keys: AccessKeys
    root_rewraps: RootRewraps
    refusals: Refusals

    async def load_credentials(self, events: EventSink) -> None:
        """Unwrap the secrets of access keys; until then the service refuses every caller as not ready.

        Raises as ``AccessKeys.load``.
        """
        await self.access_keys.load(events)

    def close(self) -> None:
        """Finish what waits, and let go of threads and files."""
        self.keyring.close()
        self.store.close()
        self.audit.close()


def build_data_plane(
    config: Config,
    home: Home,
    cluster: HsmCluster,
    maker: HsmKeyMaker | None = None,
    *,
    writer: str,
    clock: Clock,
) -> DataPlane:
    """Open store and audit log, unwrap the secrets of access keys, and join everything.

    Without ``maker`` there are no keys inside HSMs.

    Calls no HSM. Raises StrongroomError.
    """
    store = Store.open(home.database)
    try:
        audit = AuditLog.open(home.audit, writer, clock=clock, rotate_s=config.audit.rotate_hours * 3600)
    except StrongroomError:
        store.close()
        raise
    try:
        limits = CacheLimits(
            config.cache.ttl_s,
            config.cache.max_keks,
            config.cache.max_domains,
            config.cache.outage_grace_s,
        )
        access = None
        if maker is not None:
            access = HsmAccess(
                config.cluster.id, cluster, maker, cluster.has_active_member, cluster.require_usable
            )
        keyring = Keyring(
            store, cluster, clock=clock, limits=limits, request_s=config.deadlines.request_s, access=access
        )
        authority = _authority(store, keyring, config, clock)
        quotas = open_quotas(config.quotas, home, clock)
        counted = config.audit.refusals
        rules = RefusalRules(counted.burst, counted.per_minute, counted.sum_every_s)
        refusals = Refusals(audit, clock=clock, rules=rules)
        service = Service(keyring, audit, policy=authority, quotas=quotas, refusals=refusals)
        service.context_values = open_context_values(config.audit, home)
        service.rules = LifecycleRules(
            config.lifecycle.recent_use_days, config.lifecycle.deletion_needs_approval
        )
        genesis_sha256 = None if config.custody is None else config.custody.genesis_sha256
        service.custody = CustodyKeeping.opened(store, genesis_sha256, audit, clock=clock)
        access_keys = AccessKeys(store, keyring, service, authority.book, clock=clock)
        rewrapping = RootRewrapping(store, cluster, clock=clock, request_s=config.deadlines.request_s)
        root_rewraps = RootRewraps(rewrapping, audit, events=LoggedEvents(writer), clock=clock)
        health = DataPlaneHealth(
            service=service,
            cluster=cluster,
            audit=audit,
            keyring=keyring,
            roots=lambda: root_status_of(store, clock),
            quotas=quotas,
            refusals=refusals,
        )
    except BaseException:
        store.close()
        audit.close()
        raise
    return DataPlane(service, health, keyring, store, audit, access_keys, root_rewraps, refusals)


def _authority(store: Store, keyring: Keyring, config: Config, clock: Clock) -> KeyAuthority:
    """Who decides: over access keys and policies of the database, and the callers of the configuration."""
    clients = configured_callers(config)
    book = AccessBook(
        store,
        keyring.records,
        account_id=config.service.account_id,
        clients=clients,
        officers=officers_of(config, store),
    )
    partition = PartitionPolicy(find_software_module()) if config.policy.fips else None
    return KeyAuthority(book, AccessWriter(store, clock), is_tls=config.service.tls, partition=partition)

"""What an API process tells about itself and the cluster: readiness, status, metrics."""

from collections.abc import Callable

from strongroom import __version__
from strongroom.audit import AuditLog
from strongroom.core import RootStanding
from strongroom.hsm.cluster import HsmCluster, Worker
from strongroom.keyring import Keyring
from strongroom.service import Quotas, Refusals, Service
from strongroom.wiring.exposition import cluster_metrics, family


class DataPlaneHealth:
    """A ``HealthSource`` over the parts of one API process. Belongs to its event loop."""

    def __init__(
        self,
        *,
        service: Service,
        cluster: HsmCluster,
        audit: AuditLog,
        keyring: Keyring,
        roots: Callable[[], RootStanding],
        quotas: Quotas | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        """``roots`` reads how the roots stand. Raises StorageError."""
        self._quotas = quotas
        self._refusals = refusals
        self._service = service
        self._roots = roots
        self._cluster = cluster
        self._audit = audit
        self._keyring = keyring
        self.is_stopping = False

    def readiness(self) -> list[str]:
        """Why callers had better go elsewhere; empty when all is well."""
        reasons = []
        if self.is_stopping:
            reasons.append("the service is stopping")
        if not self._cluster.has_active_member():
            reasons.append("no member of the HSM cluster is active")
        if not self._service.has_credentials:
            reasons.append("the secrets of access keys are not unwrapped yet")
        if self._audit.failure is not None:
            reasons.append(f"the audit log cannot be written: {self._audit.failure}")
        return reasons

    def status(self) -> dict[str, object]:
        """The operator's view: version, readiness, members, cache, audit."""
        stats = self._audit.stats
        ciphers = self._keyring.ciphers
        return {
            "version": __version__,
            "not_ready": self.readiness(),
            "members": [
                {
                    "name": worker.entry.member,
                    "worker": worker.entry.worker,
                    "state": str(worker.entry.state),
                    "priority": worker.entry.priority,
                    "generation": worker.entry.generation,
                    "reason": worker.entry.reason,
                    "pid": worker.entry.pid,
                    "breaker": worker.breaker.state,
                    "latency_ms": _latency_ms(worker),
                }
                for worker in self._cluster.workers()
            ],
            "failovers": self._cluster.failovers,
            "quarantined_keys": sorted(key_id.hex() for key_id in self._cluster.quarantined),
            "cached_keks": len(ciphers.keks),
            "cached_domains": len(ciphers.domains),
            "audit_entries": stats.entries,
            "audit_failure": self._audit.failure,
        }

    def roots(self) -> RootStanding:
        """The roots and the newest rotation. Raises StorageError."""
        return self._roots()

    def metrics(self) -> str:
        """Prometheus text (exposition format 0.0.4)."""
        ciphers, stats = self._keyring.ciphers, self._audit.stats
        metrics: list[tuple[str, str, str, int]] = [
            ("kek_cache_hits_total", "counter", "KEKs found in memory.", ciphers.keks.hits),
            ("kek_cache_misses_total", "counter", "KEKs not found in memory.", ciphers.keks.misses),
            ("kek_cache_entries", "gauge", "KEKs in memory.", len(ciphers.keks)),
            ("domain_cache_entries", "gauge", "Domain KEKs in memory.", len(ciphers.domains)),
            ("audit_entries_total", "counter", "Audit entries made durable.", stats.entries),
            ("audit_group_commits_total", "counter", "Syncs of the audit log.", stats.groups),
            ("audit_failed_groups_total", "counter", "Syncs that failed.", stats.failed_groups),
            (
                "quota_uncounted_total",
                "counter",
                "Requests that a quota did not count, since the table of quotas was full.",
                0 if self._quotas is None else self._quotas.n_unlimited,
            ),
            (
                "audit_refusals_summed_total",
                "counter",
                "Refused requests of strangers that have no entry of their own but are told of in sums.",
                0 if self._refusals is None else self._refusals.summed,
            ),
            ("ready", "gauge", "Whether the service is ready.", int(not self.readiness())),
        ]
        own = "".join(family(name, kind, text, {"": value}) for name, kind, text, value in metrics)
        return own + cluster_metrics(self._cluster)


def _latency_ms(worker: Worker) -> dict[str, list[float | None]]:
    """By verb: what half and 99 % of this process' calls took lately, in milliseconds."""
    return {
        verb: [_milliseconds(latencies.quantile(part, at_least=1)) for part in (0.5, 0.99)]
        for verb, latencies in sorted(worker.latencies.items())
    }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)

"""What an API process tells about itself and the cluster: readiness, status, metrics."""

from collections.abc import Mapping

from strongroom import __version__
from strongroom.audit import AuditLog
from strongroom.hsm.cluster import HsmCluster, MemberState
from strongroom.keyring import Keyring
from strongroom.service import Service


class DataPlaneHealth:
    """A ``HealthSource`` over the parts of one API process. Belongs to its event loop."""

    def __init__(self, *, service: Service, cluster: HsmCluster, audit: AuditLog, keyring: Keyring) -> None:
        self._service = service
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
                    "name": entry.member,
                    "worker": entry.worker,
                    "state": str(entry.state),
                    "generation": entry.generation,
                    "reason": entry.reason,
                    "pid": entry.pid,
                }
                for entry in self._cluster.entries()
            ],
            "failovers": self._cluster.failovers,
            "cached_keks": len(ciphers.keks),
            "cached_domains": len(ciphers.domains),
            "audit_entries": stats.entries,
            "audit_failure": self._audit.failure,
        }

    def metrics(self) -> str:
        """Prometheus text (exposition format 0.0.4)."""
        ciphers, stats, entries = self._keyring.ciphers, self._audit.stats, self._cluster.entries()
        counters: list[tuple[str, str, str, Mapping[str, int]]] = [
            ("hsm_failovers_total", "counter", "HSM attempts that moved on.", {"": self._cluster.failovers}),
            ("kek_cache_hits_total", "counter", "KEKs found in memory.", {"": ciphers.keks.hits}),
            ("kek_cache_misses_total", "counter", "KEKs not found in memory.", {"": ciphers.keks.misses}),
            ("kek_cache_entries", "gauge", "KEKs in memory.", {"": len(ciphers.keks)}),
            ("domain_cache_entries", "gauge", "Domain KEKs in memory.", {"": len(ciphers.domains)}),
            ("audit_entries_total", "counter", "Audit entries made durable.", {"": stats.entries}),
            ("audit_group_commits_total", "counter", "Syncs of the audit log.", {"": stats.groups}),
            ("audit_failed_groups_total", "counter", "Syncs that failed.", {"": stats.failed_groups}),
            ("ready", "gauge", "Whether the service is ready.", {"": int(not self.readiness())}),
            (
                "hsm_member_active",
                "gauge",
                "Whether a member's worker serves.",
                {
                    f'{{member="{entry.member}",worker="{entry.worker}"}}': int(
                        entry.state is MemberState.ACTIVE
                    )
                    for entry in entries
                },
            ),
            (
                "hsm_member_generation",
                "gauge",
                "How often a member's worker was started.",
                {
                    f'{{member="{entry.member}",worker="{entry.worker}"}}': entry.generation
                    for entry in entries
                },
            ),
        ]
        return "".join(_family(*counter) for counter in counters)


def _family(name: str, kind: str, text: str, samples: Mapping[str, int]) -> str:
    lines = [f"# HELP strongroom_{name} {text}", f"# TYPE strongroom_{name} {kind}"]
    lines += [f"strongroom_{name}{labels} {value}" for labels, value in samples.items()]
    return "\n".join(lines) + "\n"

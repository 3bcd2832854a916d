"""The part of ``FakeKeyService`` about domains, in memory: keys are counted, nothing is wrapped."""

import uuid

from strongroom.keyring import (
    DEDICATED,
    DomainFullError,
    DomainInfo,
    DomainKind,
    DomainNameError,
    DomainNameInUseError,
    DomainNotFoundError,
    DomainPage,
    DomainStateError,
    Replacement,
)

MAX_KEYS = 1_000
ROOT_ID = bytes(range(16))


class FakeDomains:
    """Needs ``_begin``, ``_key`` and ``_clock`` of ``FakeKeyManagement``."""

    def start_domains(self):
        self.domains = {}
        self.domain_of = {}
        self._shard = self._domain(DomainKind.SHARD)

    def _domain(self, kind, name=None, **more):
        domain_id = str(uuid.uuid4())
        max_keys = 1 if kind is DomainKind.DEDICATED else MAX_KEYS
        made = DomainInfo(domain_id, kind, name, 0, max_keys, self._clock.now(), ROOT_ID)
        self.domains[domain_id] = made._replace(**more)
        return self.domains[domain_id]

    def _named(self, domain):
        for info in self.domains.values():
            if domain in {info.name, info.domain_id}:
                return self._counted(info)
        raise DomainNotFoundError(domain)

    def _counted(self, info):
        n_keys = sum(domain_id == info.domain_id for domain_id in self.domain_of.values())
        return info._replace(n_keys=n_keys)

    def put_into_domain(self, key_id, domain):
        """Do what creation and moves do."""
        target = self._domain(DomainKind.DEDICATED) if domain == DEDICATED else self._named(domain)
        if target.kind not in {DomainKind.NAMED, DomainKind.DEDICATED}:
            raise DomainStateError("the domain is no named one")
        if target.n_keys >= target.max_keys:
            raise DomainFullError(domain, target.max_keys)
        self.domain_of[key_id] = target.domain_id
        return self._counted(target)

    async def create_domain(self, caller, *, name):
        self._begin("CreateDomain", caller)
        if name == DEDICATED or not name.islower():
            raise DomainNameError(f"a domain is not called {name!r}")
        if any(info.name == name for info in self.domains.values()):
            raise DomainNameInUseError(name)
        return self._domain(DomainKind.NAMED, name)

    async def list_domains(self, caller, *, limit, after):
        self._begin("ListDomains", caller)
        found = sorted(self.domains)
        found = [domain_id for domain_id in found if after is None or domain_id > after]
        page = tuple(self._counted(self.domains[domain_id]) for domain_id in found[:limit])
        return DomainPage(page, page[-1].domain_id if len(found) > limit else None)

    async def describe_domain(self, caller, domain):
        self._begin("DescribeDomain", caller)
        return self._named(domain)

    async def rotate_domain(self, caller, domain):
        self._begin("RotateDomain", caller)
        old = self._named(domain)
        if old.replaces is not None:
            raise DomainStateError("the domain is being rotated")
        del self.domains[old.domain_id]
        replaces = Replacement(old.domain_id, self._clock.now(), old.n_keys, old.n_keys)
        heir = self._domain(old.kind, old.name, replaces=replaces)
        for key_id, domain_id in self.domain_of.items():
            if domain_id == old.domain_id:
                self.domain_of[key_id] = heir.domain_id
        return self._counted(heir)

    async def move_key(self, caller, key_id, *, domain):
        self._begin("MoveKey", caller)
        self._key(key_id)
        return self.put_into_domain(key_id, domain)

    async def get_key_domain(self, caller, key_id):
        self._begin("GetKeyDomain", caller)
        self._key(key_id)
        return self._counted(self.domains[self.domain_of.get(key_id, self._shard.domain_id)])

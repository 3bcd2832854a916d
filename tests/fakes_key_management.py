"""The management half of ``FakeKeyService``, in memory: what happens to aliases, tags, descriptions and dates."""

import hashlib
import uuid

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.core import KeyOrigin, KeyState, random_bytes
from strongroom.keyring import (
    MAX_ALIASES_OF_KEY,
    MAX_TAGS_OF_KEY,
    NO_MATERIAL,
    AliasExistsError,
    AliasInfo,
    AliasLimitError,
    AliasNotFoundError,
    AliasPage,
    DestructionNotScheduledError,
    DestructionScheduledError,
    KeyByAlias,
    KeyInfo,
    KeyKind,
    KeyNotFoundError,
    KeyPage,
    KeyStateError,
    Tag,
    TagLimitError,
    TagPage,
)

DAY_S = 86_400.0


class FakeKeyManagement:
    """Keys, aliases and tags as dicts; ``outcomes`` is the audit log, ``fail_with`` what every verb raises."""

    def __init__(self, clock):
        self._clock = clock
        self.keys = {}
        self.material = {}
        self.aliases = {}
        self.tags = {}
        self.outcomes = []
        self.fail_with = None

    def _begin(self, verb, caller):
        self.outcomes.append((verb, caller))
        if self.fail_with is not None:
            raise self.fail_with

    def _key(self, ref, *, usable=False, changeable=False):
        if isinstance(ref, KeyByAlias):
            if ref.alias_name not in self.aliases:
                raise AliasNotFoundError(ref.alias_name)
            key_id = self.aliases[ref.alias_name].target_key_id
        else:
            key_id = ref if isinstance(ref, str) else ref.key_id
        if key_id not in self.keys:
            raise KeyNotFoundError(key_id)
        info = self.keys[key_id]
        if (usable or changeable) and info.destroy_at is not None:
            raise DestructionScheduledError(key_id)
        if usable and info.state is not KeyState.ACTIVE:
            raise KeyStateError(key_id, info.state)
        return info

    async def create_key(self, caller, *, description, tags=None, kind=None, skip_lockout_check=False):
        self._begin("CreateKey", caller)
        key_id, material = str(uuid.uuid4()), random_bytes(32)
        material_id = hashlib.sha256(material).hexdigest()
        self.material[key_id] = AESGCM(material)
        kind = kind or KeyKind()
        info = KeyInfo(key_id, KeyState.ACTIVE, description, self._clock.now(), material_id)
        self.keys[key_id] = info._replace(spec=kind.spec, usage=kind.usage, origin=kind.origin)
        if kind.origin is KeyOrigin.EXTERNAL:
            waiting = {"state": KeyState.PENDING_IMPORT, "material_id": NO_MATERIAL}
            self.keys[key_id] = self.keys[key_id]._replace(**waiting)
        self._made(self.keys[key_id])
        self.tags[key_id] = dict(tags or {})
        return self.keys[key_id]

    def _made(self, info):
        """A key was made; whoever keeps more of it than this half does so here."""

    async def describe_key(self, caller, key):
        self._begin("DescribeKey", caller)
        return self._key(key)

    async def list_keys(self, caller, *, limit, after):
        self._begin("ListKeys", caller)
        ids = sorted(key_id for key_id in self.keys if after is None or key_id > after)
        shown = tuple(self.keys[key_id] for key_id in ids[:limit])
        return KeyPage(shown, shown[-1].key_id if len(ids) > limit else None)

    def _require_room(self, key_id):
        self._key(key_id, changeable=True)
        if sum(info.target_key_id == key_id for info in self.aliases.values()) >= MAX_ALIASES_OF_KEY:
            raise AliasLimitError(key_id, MAX_ALIASES_OF_KEY)

    async def create_alias(self, caller, *, alias_name, target_key_id):
        self._begin("CreateAlias", caller)
        if alias_name in self.aliases:
            raise AliasExistsError(alias_name)
        self._require_room(target_key_id)
        now = self._clock.now()
        self.aliases[alias_name] = AliasInfo(alias_name, target_key_id, now, now)
        return self.aliases[alias_name]

    async def update_alias(self, caller, *, alias_name, target_key_id):
        self._begin("UpdateAlias", caller)
        if alias_name not in self.aliases:
            raise AliasNotFoundError(alias_name)
        self._require_room(target_key_id)
        self.aliases[alias_name] = self.aliases[alias_name]._replace(
            target_key_id=target_key_id, updated_at=self._clock.now()
        )

    async def delete_alias(self, caller, *, alias_name):
        self._begin("DeleteAlias", caller)
        if self.aliases.pop(alias_name, None) is None:
            raise AliasNotFoundError(alias_name)

    async def list_aliases(self, caller, *, key_id, limit, after):
        self._begin("ListAliases", caller)
        if key_id is not None:
            self._key(key_id)
        names = sorted(
            name
            for name, info in self.aliases.items()
            if (after is None or name > after) and key_id in {None, info.target_key_id}
        )
        shown = tuple(self.aliases[name] for name in names[:limit])
        return AliasPage(shown, shown[-1].alias_name if len(names) > limit else None)

    def _change(self, key_id, **changes):
        self.keys[key_id] = self._key(key_id, changeable=True)._replace(**changes)
        return self.keys[key_id]

    async def enable_key(self, caller, key_id):
        self._begin("EnableKey", caller)
        self._change(key_id, state=KeyState.ACTIVE)

    async def disable_key(self, caller, key_id):
        self._begin("DisableKey", caller)
        self._change(key_id, state=KeyState.SUSPENDED)

    async def update_key_description(self, caller, key_id, *, description):
        self._begin("UpdateKeyDescription", caller)
        self._change(key_id, description=description)

    async def schedule_key_deletion(self, caller, key_id, *, days):
        self._begin("ScheduleKeyDeletion", caller)
        date = self._clock.now() + days * DAY_S
        return self._change(key_id, state=KeyState.SUSPENDED, destroy_at=date)

    async def cancel_key_deletion(self, caller, key_id):
        self._begin("CancelKeyDeletion", caller)
        info = self._key(key_id)
        if info.destroy_at is None:
            raise DestructionNotScheduledError(key_id)
        self.keys[key_id] = info._replace(destroy_at=None)

    async def tag_resource(self, caller, key_id, *, tags):
        self._begin("TagResource", caller)
        self._key(key_id, changeable=True)
        changed = {**self.tags[key_id], **tags}
        if len(changed) > MAX_TAGS_OF_KEY:
            raise TagLimitError(key_id, MAX_TAGS_OF_KEY)
        self.tags[key_id] = changed

    async def untag_resource(self, caller, key_id, *, names):
        self._begin("UntagResource", caller)
        self._key(key_id, changeable=True)
        self.tags[key_id] = {name: value for name, value in self.tags[key_id].items() if name not in names}

    async def list_resource_tags(self, caller, key_id, *, limit, after):
        self._begin("ListResourceTags", caller)
        self._key(key_id)
        found = sorted(Tag(*pair) for pair in self.tags[key_id].items() if after is None or pair[0] > after)
        return TagPage(tuple(found[:limit]), found[limit - 1].name if len(found) > limit else None)

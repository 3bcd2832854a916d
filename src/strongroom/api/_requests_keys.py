"""Members of the further requests that manage keys, aliases and tags. See ``_requests``."""

from strongroom.api._constraints import Violations
from strongroom.api._requests import KeyMembers, Members
from strongroom.api._tags import TagMember, check_tag_keys, check_tags
from strongroom.keyring import MAX_DAYS_TO_DESTRUCTION, MAX_TAGS_OF_KEY, MIN_DAYS_TO_DESTRUCTION


class DeleteAliasMembers(Members, frozen=True, kw_only=True):
    """DeleteAlias."""

    alias_name: str | None = None

    def validate(self) -> None:
        """Check the constraints but those on the form of the name."""
        found = Violations()
        found.required("aliasName", self.alias_name)
        found.length("aliasName", self.alias_name, 1, 256)
        found.check()


class UpdateKeyDescriptionMembers(KeyMembers, frozen=True, kw_only=True):
    """UpdateKeyDescription."""

    description: str | None = None

    def validate(self) -> None:
        """Check the constraints."""
        super().validate()
        found = Violations()
        found.required("description", self.description)
        found.length("description", self.description, 0, 8_192)
        found.check()


class ScheduleKeyDeletionMembers(KeyMembers, frozen=True, kw_only=True):
    """ScheduleKeyDeletion."""

    pending_window_in_days: int | None = None

    def validate(self) -> None:
        """Check the constraints; the model allows 1 to 365 days, the service 7 to 30."""
        super().validate()
        found = Violations()
        found.between(
            "pendingWindowInDays",
            self.pending_window_in_days,
            MIN_DAYS_TO_DESTRUCTION,
            MAX_DAYS_TO_DESTRUCTION,
        )
        found.check()


class TagResourceMembers(KeyMembers, frozen=True, kw_only=True):
    """TagResource."""

    tags: list[TagMember] | None = None

    def validate(self) -> None:
        """Check the constraints but those that are answered by TagException."""
        super().validate()
        found = Violations()
        found.required("tags", self.tags)
        check_tags(found, self.tags)
        found.check()


class UntagResourceMembers(KeyMembers, frozen=True, kw_only=True):
    """UntagResource."""

    tag_keys: list[str] | None = None

    def validate(self) -> None:
        """Check the constraints."""
        super().validate()
        found = Violations()
        found.required("tagKeys", self.tag_keys)
        check_tag_keys(found, self.tag_keys)
        found.check()


class ListResourceTagsMembers(KeyMembers, frozen=True, kw_only=True):
    """ListResourceTags."""

    limit: int | None = None
    marker: str | None = None

    def validate(self) -> None:
        """Check the constraints; a page has 50 tags at most, as many as a key."""
        super().validate()
        found = Violations()
        found.between("limit", self.limit, 1, MAX_TAGS_OF_KEY)
        found.length("marker", self.marker, 1, 1_024)
        found.check()

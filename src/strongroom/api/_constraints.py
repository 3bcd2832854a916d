"""Constraints on members of a request, and the words in which AWS says that they were broken."""

import re
from collections.abc import Sized

from strongroom.api._errors import validation_error

_ECHOED = 256
"""Characters of a wrong value that are repeated to the caller."""
_TOLD = 32
"""Violations that are told; of more, there may be one for each few bytes of a request, and each has hundreds in the answer."""


class Violations:
    """Collects what a request breaks, so that the caller hears of all at once, or of the first 32.

    Names are those of the AWS model with a lower-case first letter. Values of ``bytes`` kind are never
    repeated: they may be secret.
    """

    def __init__(self) -> None:
        self._found: list[str] = []
        self._n_found = 0

    def required(self, name: str, value: object | None) -> None:
        """A member that must be there."""
        if value is None:
            self._add(name, " null", "Member must not be null")

    def length(self, name: str, value: str | None, minimum: int, maximum: int) -> None:
        """A text, or absent."""
        if value is not None:
            self._size(name, f" '{value[:_ECHOED]}'", value, minimum, maximum)

    def blob_length(self, name: str, value: Sized | None, maximum: int) -> None:
        """Bytes, at least one, or absent."""
        if value is not None:
            self._size(name, "", value, 1, maximum)

    def n_items(self, name: str, value: Sized | None, minimum: int, maximum: int) -> None:
        """A list, or absent."""
        if value is not None:
            self._size(name, "", value, minimum, maximum)

    def pattern(self, name: str, value: str | None, form: re.Pattern[str], written: str) -> None:
        """A text of a certain form, or absent; ``written`` is the form as the AWS model has it."""
        if value is not None and form.fullmatch(value) is None:
            self._add(
                name,
                f" '{value[:_ECHOED]}'",
                f"Member must satisfy regular expression pattern: {written}",
            )

    def _size(self, name: str, echo: str, value: Sized, minimum: int, maximum: int) -> None:
        if len(value) < minimum:
            self._add(name, echo, f"Member must have length greater than or equal to {minimum}")
        elif len(value) > maximum:
            self._add(name, echo, f"Member must have length less than or equal to {maximum}")

    def between(self, name: str, value: int | None, minimum: int, maximum: int) -> None:
        """A whole number, or absent."""
        if value is None:
            return
        if value < minimum:
            self._add(name, f" '{value}'", f"Member must have value greater than or equal to {minimum}")
        elif value > maximum:
            self._add(name, f" '{value}'", f"Member must have value less than or equal to {maximum}")

    def one_of(self, name: str, value: str | None, allowed: tuple[str, ...]) -> None:
        """A word of a list, or absent."""
        if value is not None and value not in allowed:
            words = ", ".join(allowed)
            self._add(name, f" '{value[:_ECHOED]}'", f"Member must satisfy enum value set: [{words}]")

    def _add(self, name: str, echo: str, constraint: str) -> None:
        self._n_found += 1
        if self._n_found <= _TOLD:
            self._found.append(f"Value{echo} at '{name}' failed to satisfy constraint: {constraint}")

    def check(self) -> None:
        """Raise a ValidationException if anything was found."""
        if self._found:
            errors = "error" if self._n_found == 1 else "errors"
            raise validation_error(f"{self._n_found} validation {errors} detected: {'; '.join(self._found)}")

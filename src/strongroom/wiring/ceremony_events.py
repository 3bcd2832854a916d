"""Where events go that happen within a step: nowhere. People see the steps, and the transcript says what came of them."""


class QuietEvents:
    """An ``EventSink`` that drops events. What they would write to standard output is on the screen of a ceremony."""

    def emit(self, event: str, **fields: object) -> None:
        """Drop it."""

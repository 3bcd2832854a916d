"""Copies of audit entries for the places where security teams look: at least once, in order, and nobody waits.

The log is the queue. A shipper follows all writers' logs from positions that it keeps in a file, gives a bounded batch of
entries to its sink, and writes the positions when the sink has accepted them. A sink that hangs, refuses or is away
is tried again after a while, and is sent what it has not accepted, however long that took.
"""

__all__: list[str] = []

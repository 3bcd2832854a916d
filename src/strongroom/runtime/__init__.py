"""Processes: the entry points of main, api and member, and the supervisor that starts, watches, kills and restarts.

    python -m strongroom.runtime.main       what ``strongroom serve`` runs
    python -m strongroom.runtime.member     a member worker; started by main and by ``init``
    python -m strongroom.runtime.api        an API process; started by main

Main owns every other process and every PIN. It alone kills and restarts; the others choose and report.
Each process has one event loop. Nothing is forked: every child is a fresh interpreter.
"""

__all__: list[str] = []

"""The command line: online commands call the HTTP API, offline ones read or make the home themselves.

    strongroom init --development
    strongroom serve
    strongroom status --json

Every command takes ``--json`` and ``--verbose``, says on failure what happened and what to do, and ends with
0 (done), 1 (failed), 2 (wrong usage), 3 (the service does not answer or is not ready) or 130 (Ctrl-C). A
command's module is imported when the command runs, so ``--help`` stays quick. docs/cli.md is the reference.

Threading: one process, one command. This room serves nothing, holds no PIN, and loads no PKCS#11 module into
its own process: ``doctor`` has another process do that.
"""

from strongroom.cli._main import main, root_command

__all__ = ["main", "root_command"]

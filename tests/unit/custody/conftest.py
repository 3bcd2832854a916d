"""The stock ssh-keygen, where there is one."""

import shutil
import subprocess

import pytest


@pytest.fixture(scope="session")
def ssh_keygen():
    """Call ssh-keygen; returns the finished process."""
    program = shutil.which("ssh-keygen")
    if program is None:
        pytest.skip("there is no ssh-keygen on this machine (Debian: openssh-client)")

    def call(*arguments, data=b"", check=True):
        command = [program, *map(str, arguments)]
        return subprocess.run(command, input=data, capture_output=True, timeout=60, check=check)

    return call

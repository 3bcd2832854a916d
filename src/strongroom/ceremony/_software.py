r"""Which software runs: its version, and one hash of every file of the installed package.

The hash is that of the lines that ``sha256sum`` prints of the files, named relative to the package's folder and sorted, so
anybody computes it by hand:

    cd .../site-packages/strongroom
    find . -type f ! -path '*/__pycache__/*' | sed 's|^[.]/||' | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum
"""

import hashlib
import platform
from pathlib import Path

from strongroom.ceremony._entries import Software

_CACHE = "__pycache__"


def installed_software(version: str) -> Software:
    """Return what is installed, of which the caller knows the version.

    It cannot vouch for itself: compare the hash with one that was made on another machine. Raises OSError.
    """
    return software_in(Path(__file__).parents[1], version)


def software_in(package: Path, version: str) -> Software:
    """Return version and hash of a package's folder. Raises OSError."""
    names = sorted(
        (path.relative_to(package).as_posix() for path in package.rglob("*") if _counts(path, package)),
        key=lambda name: name.encode(),
    )
    lines = "".join(
        f"{hashlib.sha256((package / name).read_bytes()).hexdigest()}  {name}\n" for name in names
    )
    return Software(
        version=version,
        sha256=hashlib.sha256(lines.encode()).hexdigest(),
        files=len(names),
        python=platform.python_version(),
    )


def _counts(path: Path, package: Path) -> bool:
    return path.is_file() and not path.is_symlink() and _CACHE not in path.relative_to(package).parts

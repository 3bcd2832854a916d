"""Fonts of the machine for letters that reportlab's own font lacks, in the order in which they are asked.

A print needs none of them: where a letter is in no font, its number is printed. Without such letters the fonts change nothing,
so prints are the same bytes on every machine.
"""

from pathlib import Path
from typing import Final

_FONTS: Final = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",  # Debian: fonts-dejavu-core; Greek, Cyrillic, Armenian, Georgian
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",  # the same in Fedora
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",  # Debian: fonts-droid-fallback; Chinese, Japanese
    "/usr/share/fonts/truetype/nanum/NanumGothic.ttf",  # Debian: fonts-nanum; Korean
)


def printing_fonts() -> tuple[bytes, ...]:
    """Return the fonts that are there, for ``fonts`` of the functions of ``strongroom.paper``. A few megabytes."""
    found = []
    for name in _FONTS:
        try:
            found.append(Path(name).read_bytes())
        except OSError:
            continue
    return tuple(found)

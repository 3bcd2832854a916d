"""Imports every module of a package and reports, as JSON, what they did besides being imported.

Run as a program of its own: ``import_watcher.py [PACKAGE [FOLDER]]``. An audit hook sees every file opened,
socket made and process started. Python itself opens files in order to import; an event counts only where a
frame of the package stands between the event and the import machinery, that is, where a module's own top
level (or what it called) did it. What third-party packages do while they are imported is not ours to judge.
"""

import importlib
import json
import pkgutil
import sys
import threading

WATCHED = (
    "open",
    "socket.",
    "subprocess.",
    "os.",
    "sqlite3.",
    "shutil.",
    "tempfile.",
    "ctypes.dlopen",
    "urllib.",
)
HARMLESS = (
    "os.listdir",
    "os.scandir",
    "os.putenv",
    "os.unsetenv",
    "os.add_dll_directory",
    "os.walk",
    "os.fwalk",
)


def _culprit(package: str) -> str | None:
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return None
        name = str(frame.f_globals.get("__name__", ""))
        if name == package or name.startswith(package + "."):
            return name
        frame = frame.f_back
    return None


def main(package: str, folder: str | None) -> None:
    if folder is not None:
        sys.path.insert(0, folder)
    effects: list[str] = []
    watching = True

    def hook(event: str, args: tuple[object, ...]) -> None:
        if watching and event.startswith(WATCHED) and event not in HARMLESS:
            name = _culprit(package)
            if name is not None:
                effects.append(f"{name}: {event} {args[:1]!r}")

    sys.addaudithook(hook)
    imported = []
    root = importlib.import_module(package)
    imported.append(package)
    for module in pkgutil.walk_packages(root.__path__, package + "."):
        if ".migrations." in module.name + ".":
            continue  # run by Alembic, which hands them their context
        importlib.import_module(module.name)
        imported.append(module.name)
    watching = False
    threads = [thread.name for thread in threading.enumerate()]
    json.dump({"imported": imported, "effects": effects, "threads": threads}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "strongroom", sys.argv[2] if len(sys.argv) > 2 else None)

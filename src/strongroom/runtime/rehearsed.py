"""The main process of a rehearsal's service (``wiring.ceremony_service``): like any other, but it dies with whoever rehearses."""

import sys

from strongroom.runtime.main import main
from strongroom.wiring.process_protection import die_with_parent

if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    main()

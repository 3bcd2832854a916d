"""Makes a tree grow until it is killed; prints its size and root after each change. Arguments: directory, seed."""

import os
import random
import sys
from pathlib import Path

from strongroom.audit._tree_files import TreeWriter
from unit.audit.tree_disks import grow

tree = TreeWriter(Path(sys.argv[1]))
chance = random.Random(int(sys.argv[2]))
while True:
    os.write(1, f"{tree.size} {tree.root.hex()}\n".encode())
    grow(tree, chance.randint(1, 700))

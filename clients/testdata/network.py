import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))

from weir_worker import Permanent, work

seen = []


def handle(item, emit):
    seen.append(item)
    if "n" not in item:
        raise Permanent("no number")
    emit("out", {"twice": 2 * item["n"]})


work(sys.argv[1], sys.argv[2], "in", handle, stop=lambda: len(seen) == 3)

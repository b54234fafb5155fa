import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
from weir_worker import Permanent, RetryAfter, serve


def handle(item, emit):
    print("handling", str(item)[:50].encode("ascii", "replace"))  # must not harm the protocol
    do = item["do"]
    if do == "echo":
        emit("out", item["value"])
        emit("out", {"again": item["value"]})
        emit("size", len(str(item["value"])))
    elif do == "permanent":
        raise Permanent("never", "no_text")
    elif do == "later":
        raise RetryAfter(90, "soon")
    elif do == "fail":
        emit("out", "lost")
        raise ValueError("bad luck")
    elif do == "unencodable":
        emit("out", float("nan"))
    elif do == "die":
        os._exit(3)


serve(handle)

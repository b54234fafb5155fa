"""A worker for Weir's exec stage, in one file and with the standard library only.

    from weir_worker import serve, Permanent, RetryAfter

    def handle(item, emit):
        if "url" not in item:
            raise Permanent("the item has no url")
        emit("texts", {"url": item["url"], "length": len(item["html"])})

    serve(handle)

Weir starts the program, sends it items and reads its replies; docs/exec.md of
the Weir repository describes how. print() is safe: standard output belongs to
the protocol, so it is redirected to standard error, which Weir logs.

Needs Python 3.7 or later.
"""

import json
import os
import sys
import traceback

PROTOCOL = 1


class Permanent(Exception):
    """The item cannot succeed, however often it is tried.

    reason is a short machine-readable word, such as "no_text".
    """

    def __init__(self, message, reason=""):
        super().__init__(message)
        self.reason = reason


class RetryAfter(Exception):
    """The item should be tried again, but not before so many seconds."""

    def __init__(self, seconds, message="try again later", reason=""):
        super().__init__(message)
        self.seconds = seconds
        self.reason = reason


def serve(handle, name="python"):
    """Answer items until Weir closes standard input.

    handle(item, emit) is called for each item, in order. emit(edge, value)
    sends a value, anything that json can encode, to the edge of that name; what
    was emitted counts only if handle returns. Any exception but Permanent and
    RetryAfter is an error that may pass.
    """
    # Keep the protocol's stream for ourselves; give everyone else stderr.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    items = os.fdopen(os.dup(0), "rb")

    def say(value):
        # ASCII output survives anything, a lone surrogate too.
        replies.write(json.dumps(value, allow_nan=False) + "\n")
        replies.flush()

    hello = items.readline()
    if not hello:
        return
    if json.loads(hello).get("weir") != PROTOCOL:
        raise SystemExit("weir_worker: unknown protocol: %r" % hello[:200])
    say({"weir": PROTOCOL, "name": name})
    for line in items:
        for entry in json.loads(line)["items"]:
            reply = _answer(handle, entry["id"], entry["item"])
            try:
                say(reply)
            except (TypeError, ValueError) as err:
                # Nothing was written: json.dumps comes first.
                say({"id": entry["id"], "error": "cannot encode the emission: %s" % err, "permanent": True})


def _answer(handle, id, item):
    emitted = {}

    def emit(edge, value):
        emitted.setdefault(edge, []).append(value)

    try:
        handle(item, emit)
    except Permanent as err:
        return {"id": id, "error": str(err) or "permanent", "permanent": True, "reason": err.reason}
    except RetryAfter as err:
        return {"id": id, "error": str(err) or "retry", "retry_after": err.seconds, "reason": err.reason}
    except Exception as err:  # the worker outlives its items
        traceback.print_exc()
        return {"id": id, "error": "%s: %s" % (type(err).__name__, err)}
    return {"id": id, "ok": True, "emit": emitted}

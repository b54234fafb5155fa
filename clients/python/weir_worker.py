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

work(url, queue, handle) does the same for a queue of a store that `weir serve`
offers, over the network: docs/protocol.md describes it.

Needs Python 3.7 or later.
"""

import json
import os
import random
import sys
import time
import traceback
import urllib.error
import urllib.request
import uuid

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


class Store:
    """A store that `weir serve` offers. token is that of the role work."""

    def __init__(self, url, token, name="python", lease=15.0, patience=120.0):
        self._base, self._token, self._patience = url.rstrip("/") + "/weir/v1/", token, patience
        self.lease = lease
        self.client = uuid.uuid4().hex
        self.call("open", {"client": self.client, "version": 1, "name": name, "lease_ms": int(lease * 1000)})

    def call(self, name, message):
        """Make a call, and again while no server answers. Calls may be repeated."""
        begun = time.monotonic()
        while True:
            request = urllib.request.Request(self._base + name, json.dumps(message).encode(), {
                "Content-Type": "application/json", "Authorization": "Bearer " + self._token})
            try:
                with urllib.request.urlopen(request, timeout=60) as reply:
                    return json.load(reply)
            except urllib.error.HTTPError as err:
                body = err.read()
                if err.code not in (429, 502, 503, 504) or time.monotonic() - begun > self._patience:
                    raise RuntimeError("%s: %s %s" % (name, err.code, body[:500])) from None
            except OSError:
                if time.monotonic() - begun > self._patience:
                    raise
            time.sleep(random.uniform(0.1, 1))

    def commit(self, changes):
        """Commit changes, all or none, once. Returns the result, or raises."""
        outcome = self.call("commit", {"client": self.client, "transactions": [
            {"id": uuid.uuid4().hex, "changes": changes}]})["outcomes"][0]
        if "error" in outcome:
            raise RuntimeError("%(code)s: %(message)s" % outcome["error"])
        return outcome.get("result", {})

    def close(self):
        self.call("leave", {"client": self.client})


def work(url, token, queue, handle, name="python", stop=lambda: False):
    """Work on the JSON values of a queue until stop() is true.

    handle(item, emit) is that of serve; what it emits is enqueued to the queue of the
    edge's name by the transaction that acknowledges the item.
    """
    store = Store(url, token, name)
    session, seq = uuid.uuid4().hex, 0
    store.call("subscribe", {"client": store.client, "session": session, "queue": queue, "barriers": "none"})
    while not stop():
        seq += 1
        got = store.call("receive", {"client": store.client, "session": session, "seq": seq, "max": 1, "wait_ms": 1000})
        for d in got.get("deliveries") or []:
            answer = _answer(handle, d["delivery"], json.loads(d["item"]["text"]))
            settle = {"delivery": d["delivery"]}
            if answer.get("ok"):
                changes = [{"do": "enqueue", "name": edge, "item": {"text": json.dumps(v, allow_nan=False)}}
                           for edge, values in answer["emit"].items() for v in values]
                settle["do"] = "ack"
            else:
                changes = []
                settle.update(do="bury" if answer.get("permanent") else "retry", error=answer["error"])
                if "retry_after" in answer:
                    settle.update(flag=True, wait_us=int(answer["retry_after"] * 1e6))
            store.commit(changes + [settle])
    store.close()

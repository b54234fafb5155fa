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
offers, over the network: docs/protocol.md describes it. The token is that of the
variable WEIR_TOKEN, or of a file.

Needs Python 3.7 or later.
"""

import http.client
import json
import os
import random
import sys
import threading
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


class Refused(RuntimeError):
    """A server has refused a call. code is one of docs/protocol.md."""

    def __init__(self, call, code, message):
        super().__init__("%s: %s: %s" % (call, code, message))
        self.code = code


# What these say may pass, here or at another address.
_LATER = ("unavailable", "busy", "fenced", "failed", "closed")
# The server has given back what the client held.
_LOST = ("lease_lost", "unknown_client")
# There is no room now.
_FULL = ("queue_full", "disk_full")
# The fault is not that of what was sent: of the token, of the server, or of what is in between.
_ELSEWHERE = ("unauthorized", "forbidden", "protocol", "internal", "corrupt")


def _token(token, token_file):
    """Return the token given, or that of a file, or of the variable WEIR_TOKEN.

    A file has a token alone, or a role and a token on each line, as TOKENS of
    `weir serve` has.
    """
    if token is None and token_file is None:
        return os.environ.get("WEIR_TOKEN", "")
    if token is not None:
        return token
    with open(token_file, encoding="utf-8") as f:
        lines = [line.split() for line in f if line.strip() and not line.startswith("#")]
    for role in ("work", "admin"):
        for line in lines:
            if line[0] == role and len(line) == 2:
                return line[1]
    if not lines or len(lines[0]) != 1:
        raise ValueError("%s has no token of the role work" % token_file)
    return lines[0][0]


class Store:
    """A store that `weir serve` offers, at a URL, or at those of a leader and its
    standbys, separated by commas. Its methods may be called from any thread.

    lease is for how many seconds the server keeps what this client holds when it does
    not hear of it; a thread gives a sign of life three times as often. patience is for
    how long a call is made again while no server answers.
    """

    def __init__(self, url, token=None, token_file=None, name="python", lease=15.0, patience=120.0):
        self._bases = [u.strip().rstrip("/") + "/weir/v1/" for u in url.split(",")]
        self._token, self._patience = _token(token, token_file), patience
        self._name, self.lease = name, lease
        self._closed = threading.Event()
        self.open()
        threading.Thread(target=self._beat, daemon=True).start()

    def open(self):
        """Make the client known, under a new id: what it held before it holds no more."""
        client = uuid.uuid4().hex
        self.call("open", {"client": client, "version": 1, "name": self._name,
                           "program": "weir_worker.py", "lease_ms": int(self.lease * 1000)})
        self.client = client

    def call(self, name, message, patience=None):
        """Make a call, and again while no server answers: calls may be repeated.

        Raises Refused for what will not pass by itself.
        """
        begun = time.monotonic()
        patience = self._patience if patience is None else patience
        body = json.dumps(message, allow_nan=False).encode()
        while True:
            request = urllib.request.Request(self._bases[0] + name, body, {
                "Content-Type": "application/json", "Authorization": "Bearer " + self._token})
            try:
                with urllib.request.urlopen(request, timeout=60) as reply:
                    return json.load(reply)
            except urllib.error.HTTPError as err:
                refused = _refused(name, err)
            except (OSError, http.client.HTTPException, ValueError) as err:
                refused = Refused(name, "unavailable", "%s: %s" % (self._bases[0], err))
            if refused.code not in _LATER or time.monotonic() - begun > patience:
                raise refused
            self._bases.append(self._bases.pop(0))
            time.sleep(random.uniform(0.05, 0.5))

    def commit(self, changes):
        """Commit changes, all or none, once. Returns the result, or raises Refused."""
        transaction = {"id": uuid.uuid4().hex, "changes": changes}
        if not any("delivery" in c for c in changes):
            # What settles nothing could happen again when its id has been forgotten.
            transaction["since"] = self.call("limits", {}).get("serial", 0)
        begun = time.monotonic()
        while True:
            outcome = self.call("commit", {"client": self.client, "transactions": [transaction]})["outcomes"][0]
            if "error" not in outcome:
                return outcome.get("result", {})
            refused = Refused("commit", outcome["error"]["code"], outcome["error"]["message"])
            if refused.code not in _LATER or time.monotonic() - begun > self._patience:
                raise refused
            time.sleep(random.uniform(0.05, 0.5))

    def close(self):
        """Give back what the client holds. If no server hears it, that ends with the lease."""
        self._closed.set()
        try:
            self.call("leave", {"client": self.client}, patience=0)
        except Refused:
            pass

    def _beat(self):
        while not self._closed.wait(self.lease / 3):
            try:
                self.call("heartbeat", {"client": self.client})
            except Refused:
                pass  # whoever receives or commits meets it


def _refused(call, err):
    try:
        answer = json.loads(err.read())
        return Refused(call, answer["code"], answer["message"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        # Not of a Weir server: a proxy's, perhaps.
        return Refused(call, "unavailable" if err.code >= 500 or err.code == 429 else "protocol", "status %d" % err.code)


def work(url, queue, handle, token=None, token_file=None, name="python", stop=lambda: False,
         batch=1, lease=15.0, patience=120.0, subscribe=None):
    """Work on the JSON values of a queue until stop() is true.

    handle(item, emit) is that of serve; what it emits is enqueued to the queue of the
    edge's name by the transaction that acknowledges the item, so both happen once or
    not at all, whatever dies. batch items are received at a time. subscribe has further
    fields of that call, {"affinity_us": 3000000} say. Raises Refused if the server does
    not want this client, or has been away for longer than the patience.
    """
    store = Store(url, token, token_file, name, lease, patience)
    try:
        while not stop():
            try:
                _session(store, queue, handle, stop, batch, subscribe or {})
            except Refused as err:
                if err.code not in _LOST:
                    raise
                print("weir_worker: begins again: %s" % err, file=sys.stderr)
                store.open()
    finally:
        store.close()


def _session(store, queue, handle, stop, batch, subscribe):
    session, seq = uuid.uuid4().hex, 0
    store.call("subscribe", dict({"client": store.client, "session": session, "queue": queue, "barriers": "none"}, **subscribe))
    while not stop():
        seq += 1
        got = store.call("receive", {"client": store.client, "session": session, "seq": seq, "max": batch, "wait_ms": 5000})
        for d in got.get("deliveries") or []:
            _settle(store, handle, d)


def _settle(store, handle, d):
    number = d["delivery"]
    try:
        item = json.loads(d["item"]["text"])
    except (KeyError, ValueError):
        item, answer = None, {"error": "the item is not JSON", "permanent": True}
    else:
        answer = _answer(handle, number, item)
    changes, settle = [], {"delivery": number, "do": "ack"}
    if answer.get("ok"):
        try:
            changes = [{"do": "enqueue", "name": edge, "item": {"text": json.dumps(v, allow_nan=False)}}
                       for edge, values in answer["emit"].items() for v in values]
        except (TypeError, ValueError) as err:
            answer = {"error": "cannot encode the emission: %s" % err, "permanent": True}
    if not answer.get("ok"):
        settle.update(do="bury" if answer.get("permanent") else "retry", error=answer["error"])
        if "retry_after" in answer:
            settle.update(flag=True, wait_us=int(answer["retry_after"] * 1e6))
    while True:
        try:
            store.commit(changes + [settle])
            return
        except Refused as err:
            if err.code in _LOST + _ELSEWHERE + _LATER:
                raise
            if err.code in _FULL:
                time.sleep(random.uniform(0.5, 1.5))
            elif changes:  # what was emitted can never be stored
                changes, settle = [], {"delivery": number, "do": "bury", "error": str(err)}
            else:
                raise

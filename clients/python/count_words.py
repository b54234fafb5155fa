"""A stage over the network: it counts the words of texts.

    python3 count_words.py URL [LEASE [TOKENFILE]]

Values of the queue texts are {"id": …, "text": …}; what comes of each goes to the queue
counts. Run as many as you like, and kill them: nothing is lost, nothing counted twice.
"""

import signal
import sys

from weir_worker import Permanent, work

stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))


def handle(item, emit):
    if "text" not in item:
        raise Permanent("the item has no text")
    emit("counts", {"id": item["id"], "words": len(item["text"].split())})


url, lease, token_file = (sys.argv[1:] + [None] * 2)[:3]
work(url, "texts", handle, token_file=token_file, lease=float(lease or 15), stop=lambda: bool(stopped))

"""Commits one order to the store at a URL, and says with which code it was refused."""

import sys

from weir_worker import Refused, Store

store = Store(sys.argv[1])
try:
    store.commit([{"do": "enqueue", "name": "orders", "item": {"text": "two apples"}}])
    print("done")
except Refused as err:
    print(err.code)
finally:
    store.close()

"""All the SQL: one log for every door, and the queue, ledger and tokens that belong to it.

`open_store` gives a Store; its sessions go into the functions of checks, corrections, history,
jobs, ledger and tokens. forgetting and exchange take the Store itself. Imports no torch.
"""

from .database import (
    NotThereError,
    StorageFullError,
    StoreBusyError,
    StoreDamagedError,
    StoreError,
    StoreNewerError,
)
from .opening import mend, open_store
from .store import Store

__all__ = [
    "NotThereError",
    "StorageFullError",
    "Store",
    "StoreBusyError",
    "StoreDamagedError",
    "StoreError",
    "StoreNewerError",
    "mend",
    "open_store",
]

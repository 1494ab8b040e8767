"""All the SQL: the history of checks, and the jobs, ledger and tokens that belong to it.

`open_store` returns a Store. The functions of checks, corrections, history, jobs, ledger and tokens
take one of its sessions; those of forgetting and exchange take the Store itself. Imports no torch.
"""

from .database import (
    ANSWER_S,
    NotThereError,
    StorageFullError,
    StoreAwayError,
    StoreBusyError,
    StoreDamagedError,
    StoreError,
    StoreNewerError,
)
from .opening import mend, open_store
from .store import Store

__all__ = [
    "ANSWER_S",
    "NotThereError",
    "StorageFullError",
    "Store",
    "StoreAwayError",
    "StoreBusyError",
    "StoreDamagedError",
    "StoreError",
    "StoreNewerError",
    "mend",
    "open_store",
]

"""What Ray reads from the environment: set before it is imported, which this module does not."""

import os
import secrets
from importlib.util import find_spec

from antifake.core.errors import UsageError
from antifake.core.i18n import _


def require_extra() -> None:
    """Raises UsageError unless Ray and pyarrow are installed."""
    if find_spec("ray") is None or find_spec("pyarrow") is None:
        raise UsageError(_("This needs Ray, which is not installed: pip install 'antifake[bulk]'."))


def prepare(address: str | None) -> None:
    """Prepares the environment of this process for a cluster that runs, or for one of its own.

    `address` is that of the cluster; None starts one on this computer. Raises UsageError if Ray is
    not installed.
    """
    require_extra()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # it would report to its makers
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it prints what concerns developers
    if address is not None:
        return
    # Servers of a Ray of our own listen on 127.0.0.1 only; on Windows and macOS they always do.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    # Whoever reaches them could run anything in our name. Ray would keep its token in a file that
    # other users of this computer may be able to read.
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    # At Ray's own 15 a detector gets nearly nothing beside other programs.
    os.environ.setdefault("RAY_worker_niceness", "0")

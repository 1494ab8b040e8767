"""PostgreSQL: connections that do not keep a person waiting, and one writer at a time."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

CONNECT_S = 2
"""How long a database server has to answer before it counts as away."""
_STUCK_S = 30
"""How long another computer may keep all from writing, as one that fell asleep over it."""
_OUR_LOCK = 0x616E7466
"""The number of the lock that whoever writes to PostgreSQL holds."""


def engine_of(url: URL, busy_s: float) -> Engine:
    """Returns an engine that notices soon when the server is away.

    A connection that is to write waits for its turn, at most `busy_s`.
    """
    about = {
        "connect_timeout": CONNECT_S,
        "application_name": "antifake",
        # A server that was unplugged says nothing: notice it in seconds.
        "keepalives_idle": CONNECT_S,
        "keepalives_interval": CONNECT_S,
        "keepalives_count": 2,
        "tcp_user_timeout": 5000 * CONNECT_S,
    }
    engine = create_engine(url, pool_timeout=busy_s, connect_args={**about, **url.query})
    event.listen(engine, "begin", partial(_take_turn, busy_s))

    def ask(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        """Before each transaction: a connection may be lost, and a server may hang."""
        if not record.info.setdefault("is_used", False):
            record.info["is_used"] = True
            return
        try:
            with _patience(connection) as is_over:
                engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            if is_over.is_set():
                raise  # another connection would only cost as long again
            raise DisconnectionError(str(error)) from error

    event.listen(engine, "checkout", ask)
    return engine


@contextmanager
def _patience(connection: DBAPIConnection) -> Iterator[threading.Event]:
    """Cuts a connection on which nothing comes for too long, which ends the waiting."""

    is_over = threading.Event()

    def cut() -> None:
        is_over.set()
        with suppress(OSError):
            handle = socket.socket(fileno=cast(Any, connection).fileno())
            try:
                handle.shutdown(socket.SHUT_RDWR)
            finally:
                handle.detach()  # it is the connection's, which closes it

    timer = threading.Timer(CONNECT_S, cut)
    timer.daemon = True
    timer.start()
    try:
        yield is_over
    finally:
        timer.cancel()


def _take_turn(busy_s: float, connection: Connection) -> None:
    if not connection.get_execution_options().get("writes"):
        return
    limits = {"lock_timeout": busy_s, "idle_in_transaction_session_timeout": _STUCK_S}
    set_ = [func.set_config(name, f"{seconds:.0f}s", True) for name, seconds in limits.items()]
    connection.execute(select(*set_, func.pg_advisory_xact_lock(_OUR_LOCK)))


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """Of several computers that start at once, one migrates. The next sees what that has done."""
    if connection.dialect.name != "postgresql":
        yield
        return
    connection.execute(select(func.pg_advisory_lock(_OUR_LOCK)))
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(select(func.pg_advisory_unlock(_OUR_LOCK)))
        connection.commit()

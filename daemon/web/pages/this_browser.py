"""The browser of the current request: its cookies, and whether it is or could be remembered."""

from werkzeug.wrappers import Response

from antifake.core import AntifakeError
from antifake.daemon.store.tokens import REMEMBERED_FOR, Token
from antifake.daemon.web.context import access, own_address
from antifake.daemon.web.guards import (
    BROWSER_COOKIE,
    COOKIE,
    browser_secret,
    is_known_browser,
    is_under_own_name,
    session_secret,
)


def can_be_remembered() -> bool:
    """Returns whether its cookie would belong to a host name of its own."""
    return is_under_own_name() and bool(own_address())


def token() -> Token | None:
    """Returns the token of its cookie, if it is remembered. Raises StoreError."""
    return access().browsers.find(browser_secret(), own_address())


def is_known() -> bool:
    """Returns whether it has the cookie of a remembered browser. Whether it has the key, too, only
    its script can show.
    """
    try:
        return is_known_browser()
    except AntifakeError:
        return False


def is_remembered() -> bool:
    """Returns whether its session is that of a remembered browser."""
    return access().browser_of(session_secret()) is not None


def set_session(response: Response, secret: str) -> None:
    response.set_cookie(COOKIE, secret, httponly=True, samesite="Strict", path="/")


def end_session(response: Response) -> None:
    """Ends its session, and forgets it if it is remembered: a reload would let it in again."""
    browser = access().browser_of(session_secret())
    if browser is not None:
        access().revoke(browser)
        response.delete_cookie(BROWSER_COOKIE, httponly=True, samesite="Strict", path="/")
    access().logout(session_secret())
    response.delete_cookie(COOKIE, httponly=True, samesite="Strict", path="/")


def set_remembered(response: Response, secret: str) -> None:
    # Sent with every request: a narrower path would keep it from no other program.
    response.set_cookie(
        BROWSER_COOKIE, secret, max_age=REMEMBERED_FOR, httponly=True, samesite="Strict", path="/"
    )

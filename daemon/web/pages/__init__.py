"""The local web page: history, review, folders, browsers, settings, privacy.

Reading needs no JavaScript. Changes are sent by scripts, as JSON or as the bytes of a picture, with
the cookie of a session and a header that no form can send (see guards).
"""

from . import (
    browsers,
    checking,
    folders,
    history,
    learning,
    live,
    messages,
    picture,
    privacy,
    remembered,
    session,
    settings,
    viewer,
    welcome,
)
from .render import STATIC, explain, routes

__all__ = ["STATIC", "VIEWS", "explain", "routes"]

VIEWS = (
    browsers,
    checking,
    folders,
    history,
    learning,
    live,
    messages,
    picture,
    privacy,
    remembered,
    session,
    settings,
    viewer,
    welcome,
)
"""Modules that have added their views to `routes`."""

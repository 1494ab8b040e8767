"""HTTP on 127.0.0.1: a thin skin over Service. No decision is made here but who gets in.

    app = create_app(service, access, About(version, stop))
    with Server(app, port) as server:
        server.port

guards asks everybody the same questions before any view runs; checks, history, watches, settings,
pairing, events and standing are the views; problems makes every error one shape; wire is what
answers look like as JSON, forms what is taken in; serving is the server around it.
"""

from .app import About, create_app
from .server import Server

__all__ = ["About", "Server", "create_app"]

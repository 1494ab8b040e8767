"""HTTP on 127.0.0.1: one app for the API and the pages, on top of the service.

    app = create_app(service, access, About(version, stop))
    with Server(app, port) as server:
        server.port

guards checks every request before its view; api and pages have the views; errors turns every error
into an answer; events has the streams that both share; server is the HTTP server for the app.
"""

from .app import About, create_app
from .server import Server

__all__ = ["About", "Server", "create_app"]

"""The web page with a real history, served on a free port, and a browser for it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from html import unescape
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from antifake.core.catalog import Home
from antifake.core.evidence.file_evidence import FileEvidence
from antifake.core.parts import WHOLE, JudgedPart
from antifake.daemon.config import load
from antifake.daemon.places import Places
from antifake.daemon.service import Intake, Service, Settings, service_at_rest
from antifake.daemon.service.access import Access
from antifake.daemon.service.at_rest import FoldersAtRest
from antifake.daemon.service.service import Folders
from antifake.daemon.store import Store, checks, evidence, open_store
from antifake.daemon.store.checks import Check, Finding
from antifake.daemon.watcher import FolderState, Watcher
from antifake.daemon.web import About, Server, create_app
from antifake.daemon.web.context import NAME

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PORT = 8765
HOST = "127.0.0.1"
ADDRESS = f"http://{HOST}:{PORT}"
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def way_on(page: str) -> str:
    """Returns where a browser without scripts goes on from the page that a one-time link opens."""
    [found] = re.findall(r'<a class="button" href="([^"]+)"', page)
    return unescape(str(found))


@dataclass
class World:
    """A service with a history and its access control, without a worker or a watcher."""

    store: Store
    service: Service
    access: Access
    requests: list[str]
    numbers: Iterator[int]
    watched: "Watched"

    def add(
        self,
        name: str | None = None,
        *,
        at: datetime = NOW,
        thumb: Image.Image | None = None,
        **about: Any,
    ) -> Check:
        """Adds a check of a new picture. Returns its Check."""
        known: dict[str, Any] = {"label": "real", "p_fake": 0.125, "source": "watch"}
        if about.get("label") in ("fake", "unsure"):
            known["p_fake"] = {"fake": 0.9375, "unsure": 0.5}[about["label"]]
        who = {"model": "mini@1f3a90c2", "prompt": "shipped@77aa01b2", "width": 1600, "height": 900}
        path = None if name is None else f"/home/me/Pictures/{name}"
        values = {
            "sha256": f"{next(self.numbers):064x}",
            "path": path,
            "ms": 180.0,
            "format": "JPEG",
        }
        finding = known | who | values | about
        if finding["label"] is not None:
            finding = {"parts": (JudgedPart(WHOLE, finding["p_fake"]),)} | finding
        with self.store.writing() as session:
            check = checks.add(session, Finding(**finding), at)
            if thumb is not None:
                assert check.sha256 is not None
                checks.keep_thumbnail(session, check.sha256, webp(thumb), at)
        return check

    def note_file(self, check: Check, file: FileEvidence) -> None:
        """Notes what the file of a picture says of itself."""
        assert check.sha256 is not None
        with self.store.writing() as session:
            evidence.keep(session, check.sha256, file, NOW)

    def add_failed(self, name: str, sentence: str) -> Check:
        return self.add(
            name, label=None, p_fake=None, sha256=None, error=sentence, code="unreadable"
        )

    def app(self) -> Flask:
        """Returns the whole app, as on port PORT."""
        about = About("0", lambda: None, lambda: self.requests)
        app = create_app(self.service, self.access, about)
        app.extensions[NAME].port = PORT
        app.test_client_class = _Browser
        return app

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Runs a real watcher that follows the settings. The files it finds are not judged."""
        intake = Intake(self.store, lambda _: False, lambda: NOW, lambda: True)
        with Watcher(intake, self.service.config.watch, lambda: NOW) as watcher:
            self.service.settings.listen(lambda config: watcher.apply(config.watch))
            self.watched.by = watcher
            yield


@dataclass
class Watched:
    """The state of the folders, without a watcher or with one."""

    by: Folders

    def state(self) -> list[FolderState]:
        return self.by.state()

    def rescan(self) -> None:
        self.by.rescan()


@contextmanager
def world(folder: Path, home: Home) -> Iterator[World]:
    with open_store(folder / "history.db", NOW) as store:
        settings = Settings(folder / "config.toml", load(folder / "config.toml"), home)
        watched = Watched(FoldersAtRest(settings))
        service = replace(
            service_at_rest(store, settings, places_in(folder, home), lambda: NOW), watched=watched
        )
        access = Access(store, service.events, lambda: NOW)
        yield World(store, service, access, [], count(1), watched)
        service.events.close()


def places_in(folder: Path, home: Home) -> Places:
    """Returns places with everything but the models in one folder."""
    config = folder / "config.toml"
    return Places(home, config, folder, folder / "state", folder / "logs")


_KEY = re.compile(r"#key=([0-9a-f]{64})")


class _Browser(FlaskClient):
    """A test client that sends host, origin and the key of its session as a browser's pages do."""

    page_key = ""

    def open(self, *args: Any, **about: Any) -> Any:
        if about.get("method") == "POST":
            own = {"Origin": ADDRESS, "X-Page-Key": self.page_key}
            about["headers"] = own | dict(about.get("headers") or {})
        answer = super().open(*args, **{"base_url": ADDRESS} | about)
        if given := _KEY.search(answer.headers.get("Location", "")):
            self.page_key = given[1]
        return answer

    def say_yes(self, where: str, **about: Any) -> Any:
        """Sends a change before which antifake asks again, and says yes."""
        sent = {"X-Requested-By": "antifake"} | about.pop("headers", {})
        asked: Any = self.post(where, headers=sent, **about)
        assert (asked.status_code, asked.json["code"]) == (409, "confirm"), asked.text
        sent["X-Confirmation"] = asked.json["confirmation"]
        return self.post(where, headers=sent, **about)


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """Serves the app. Yields its address."""
    with Server(app, 0) as server:
        yield f"http://127.0.0.1:{server.port}"


def webp(picture: Image.Image) -> bytes:
    out = BytesIO()
    picture.save(out, "WEBP", quality=60)
    return out.getvalue()


def scene(seed: int, width: int = 128, height: int = 128) -> Image.Image:
    """Returns a picture of a sky, hills and a sun, in colours that the seed chooses."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / height
    top, foot, hill = random.uniform(60, 240, (3, 3))
    sky = top + (foot - top) * y[..., None]
    sun = np.hypot(x - random.uniform(0.3, 1), y - random.uniform(0.15, 0.4)) < 0.09
    edge = 0.62 + 0.12 * np.sin(random.uniform(2, 6) * x + random.uniform(0, 6))
    ground = hill * (1.1 - 0.5 * y[..., None])
    seen = np.where(sun[..., None], (255, 240, 200), sky)
    seen = np.where((y > edge)[..., None], ground, seen)
    return Image.fromarray(seen.clip(0, 255).astype(np.uint8))


def ago(**how_long: float) -> datetime:
    return NOW - timedelta(**how_long)

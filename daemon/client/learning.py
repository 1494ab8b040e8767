"""Calls about learning from corrections. Each raises DaemonError, as those of Client do."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urlencode

from .client import Client
from .transport import save

Json = dict[str, Any]

PACK = "application/zip"
_AT_ONCE = 500
_LONG_S = 600.0
_WAIT_S = 5
_GATHER_S = 0.1
_MOST_PAGES = 2000


@dataclass(frozen=True)
class LearningClient:
    """What a client can do about learning: `LearningClient(client)`."""

    client: Client

    def state(self) -> Json:
        return dict(self.client.get("/learning"))

    # --- Trainings ------------------------------------------------------------------------------

    def start(self, source: str) -> Json:
        """Begins a training; `source` is "cli" or "tray"."""
        return dict(self.client.post("/learning/trainings", {"source": source}))

    def trainings(self, limit: int = 20) -> list[Json]:
        return list(self.client.get("/learning/trainings", limit=str(limit))["trainings"])

    def training(self, number: int) -> Json:
        return dict(self.client.get(f"/learning/trainings/{number}"))

    def flips(self, number: int) -> list[Json]:
        return list(self.client.get(f"/learning/trainings/{number}/flips")["flips"])

    def contradictions(self, number: int) -> list[list[Json]]:
        return list(self.client.get(f"/learning/trainings/{number}/contradictions")["groups"])

    def cancel(self, number: int) -> Json:
        return dict(self.client.post(f"/learning/trainings/{number}/cancel"))

    def promote(self, number: int) -> Json:
        return dict(self.client.post(f"/learning/trainings/{number}/promote"))

    def wait(self, number: int, progress: Callable[[str, int, int], None]) -> Json:
        """Waits for the end of a training. `progress` gets the stage, and how far it is."""
        after = int(self.client.state()["last_event"])
        while (found := self.training(number))["state"] in ("queued", "running"):
            news = self.client.events(after, _WAIT_S)
            after = int(news["last"])
            for event in news["events"]:
                data = event["data"]
                if event["kind"] == "training" and data.get("id") == number and "stage" in data:
                    progress(str(data["stage"]), int(data["done"]), int(data["total"]))
            # Events that were lost: ask for the training itself.
            time.sleep(1 if news["reset"] else _GATHER_S)
        return found

    # --- Versions -------------------------------------------------------------------------------

    def versions(self) -> list[Json]:
        return list(self.client.get("/learning/versions")["versions"])

    def use(self, name: str) -> Json:
        return dict(self.client.post("/learning/versions:use", {"name": name}))

    def roll_back(self) -> Json:
        return dict(self.client.post("/learning/versions:rollback"))

    def pin(self, name: str | None) -> Json:
        return dict(self.client.post("/learning/versions:pin", {"name": name}))

    def compare(self, a: str, b: str) -> Json:
        return dict(self.client.get("/learning/versions:compare", a=a, b=b))

    # --- Review, crops, settings ----------------------------------------------------------------

    def review(self) -> Json:
        return dict(self.client.get("/learning/review"))

    def skip(self, names: Sequence[str]) -> None:
        self.client.post("/learning/review:skip", {"ids": list(names)})

    def crops(self) -> Iterator[Json]:
        cursor: Json = {}
        for _page in range(_MOST_PAGES):
            page = self.client.get("/learning/crops", limit=str(_AT_ONCE), **cursor)
            yield from page["crops"]
            if page["next"] is None or not page["crops"]:
                return
            cursor = {"cursor": page["next"]}

    def delete_crops(self, sha256s: Sequence[str] | None) -> int:
        """Deletes these crops, or all of them. Returns how many."""
        wanted = None if sha256s is None else list(sha256s)
        return int(self.client.post("/learning/crops:delete", {"sha256s": wanted})["deleted"])

    def set_budget(self, one_in: int) -> None:
        """Sets how many real pictures may be called AI-made: one in so many; 0: any number."""
        body = {"learning.false_alarms": one_in}
        self.client.change_settings(body)

    # --- Packs ----------------------------------------------------------------------------------

    def export(self, out: IO[bytes], *, with_crops: bool) -> None:
        path = f"/learning/pack?{urlencode({'crops': str(with_crops).lower()})}"
        with self.client.transport.send("GET", path, None, {}, _LONG_S) as answer:
            save(answer, out)

    def preview(self, pack: bytes) -> Json:
        patient = self.client.patient(_LONG_S)
        return dict(patient.ask("POST", "/learning/pack:preview", pack, PACK))

    def import_(self, pack: bytes, *, use: bool | None = None) -> Json:
        query = "" if use is None else f"?use={str(use).lower()}"
        patient = self.client.patient(_LONG_S)
        return dict(patient.ask("POST", f"/learning/pack:import{query}", pack, PACK))

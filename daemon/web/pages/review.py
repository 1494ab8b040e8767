"""One picture after another that deserves the person's eyes: those that the model could not
tell, and those that it calls AI-made, as long as the person has said nothing of them."""

from flask import Blueprint, Response, request

from antifake.daemon.service import Answer, Service
from antifake.daemon.store.history import Filter

from .context import House

WANTED = (Filter(label="unsure", corrected=False), Filter(label="fake", corrected=False))


def add(pages: Blueprint, house: House) -> None:
    service = house.service

    @pages.get("/review")
    def review() -> Response:
        at, after = request.args.get("at"), request.args.get("after") or None
        done = min(request.args.get("done", 0, type=int), 1_000_000)
        left = sum(service.count(one) for one in WANTED)
        one = service.get(at) if at else _next(service, after)
        return house.show("review.html", one=one, done=max(0, done), left=left)


def _next(service: Service, after: str | None) -> Answer | None:
    """The newest behind `after`."""
    firsts = [service.page(wanted, after, 1)[0] for wanted in WANTED]
    names = [answers[0].id for answers in firsts if answers]
    return service.get(max(names)) if names else None

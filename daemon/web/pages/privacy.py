"""What left this computer, ever, and what is kept on it, where."""

from flask import Blueprint, Response

from .context import House


def add(pages: Blueprint, house: House) -> None:
    service = house.service

    @pages.get("/privacy")
    def privacy() -> Response:
        lines = None if house.requests is None else house.requests()[::-1]
        backups = service.store.backups
        return house.show(
            "privacy.html",
            requests=lines,
            config=service.config,
            file=str(service.settings.path),
            database=service.store.database.name,
            backups=str(backups.folder) if backups else None,
        )

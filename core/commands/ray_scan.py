"""`antifake scan --engine ray`: on several graphics cards or machines, from and to stores."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from antifake.core.errors import UsageError
from antifake.core.i18n import _
from antifake.core.request_log import scan_by, scan_of
from antifake.core.terminal import passing_notice, say

if TYPE_CHECKING:
    from antifake.core.bulk.judging import Expected
    from antifake.core.bulk.listing import Sources
    from antifake.core.bulk.output import About, Output
    from antifake.core.catalog import Home
    from antifake.core.scanning import Tally


@dataclass(frozen=True)
class Request:
    """What a person asked for."""

    folders: tuple[str, ...]
    tables: tuple[str, ...]
    recursive: bool
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    output: str | None
    resume: bool
    detectors: int | None
    gpus: float | None
    decoders: int | None
    address: str | None


def scan_by_ray(request: Request, model: str | None, prompt: str | None) -> "Tally":
    """Scans into a folder. Returns the counts of all that is in it. Raises AntifakeError."""
    from antifake.core.bulk.environment import prepare

    if not request.output:
        raise UsageError(_("--engine ray writes a folder: name it with -o OUT."))
    if not (request.folders or request.tables):
        raise UsageError(_("Which folders? `antifake scan --engine ray DIR -o OUT`."))
    prepare(request.address)
    from antifake.core.bulk.output import Output
    from antifake.core.bulk.stores import place_of
    from antifake.core.catalog import user_home
    from antifake.core.stopping import Stopped, stoppable

    home, sources, output = user_home(), _sources(request), Output(place_of(request.output))
    expected = _expected(home, model, prompt)
    for place in (*sources.folders, *sources.tables, output.place):
        if not place.is_local:
            home.note_request(scan_of(place.name), 0)
    output.begin(_about(request, expected, sources), resume=request.resume)
    with stoppable():
        try:
            _run(request, home, sources, output, expected)
        except Stopped as stopped:
            say(_("Stopped. What is done is in {path}; --resume goes on.", path=output.place.name))
            sys.exit(stopped.exit_code)
    return output.tally()


def _sources(request: Request) -> "Sources":
    """Raises UsageError."""
    from antifake.core.bulk.listing import Sources
    from antifake.core.bulk.stores import place_of
    from antifake.core.walk import FileFilter

    folders = [place_of(text) for text in request.folders]
    for folder in folders:
        if folder.is_local and not Path(folder.name).is_dir():
            raise UsageError(_("There is no folder {text}.", text=folder.name))
    tables = [place_of(text) for text in request.tables]
    chosen = FileFilter(request.recursive, request.include, request.exclude)
    return Sources(folders, tables, chosen)


def _expected(home: "Home", model: str | None, prompt: str | None) -> "Expected":
    """Returns what all workers must judge with. Raises ModelError."""
    from importlib.metadata import version

    from antifake.core.bulk.judging import Expected
    from antifake.core.loading import ensure_model
    from antifake.core.promptbook import Promptbook

    bundle = ensure_model(home, model)
    chosen = Promptbook(home.prompts).chosen(prompt, bundle)
    if chosen.warning:
        say(chosen.warning, err="yellow")
    return Expected(
        version("antifake"),
        str(Path(model).absolute()) if model and Path(model).is_dir() else bundle.folder.name,
        bundle.manifest,
        chosen.file.path.read_bytes(),
        chosen.version,
    )


def _about(request: Request, expected: "Expected", sources: "Sources") -> "About":
    from antifake.core.bulk.output import About

    manifest = expected.manifest
    return About(
        manifest.version,
        manifest.fingerprint,
        manifest.dtype,
        expected.prompt_version,
        [place.name for place in (*sources.folders, *sources.tables)],
        {
            "recursive": request.recursive,
            "include": [*request.include],
            "exclude": [*request.exclude],
        },
    )


def _run(
    request: Request, home: "Home", sources: "Sources", output: "Output", expected: "Expected"
) -> None:
    from antifake.core.bulk import cluster
    from antifake.core.bulk.pools import Pools
    from antifake.core.bulk.run import Run, listed
    from antifake.core.scanning import left_out

    with passing_notice(_("listing")):
        pictures = listed(output, sources)
    for sentence in left_out(sources.others, leaves_folders_out=sources.leaves_folders_out):
        say(sentence)
    detectors = request.detectors or 1
    with cluster.connected(request.address, detectors + (request.decoders or detectors)) as nodes:
        if request.address is not None:
            home.note_request(scan_by(cluster.gcs_address()), 0)
            cluster.require_same_everywhere(nodes, expected, output, sources.folders)
        pools = Pools.chosen(nodes, detectors, request.gpus, request.decoders)
        threads = cluster.threads_each(detectors) if request.address is None else None
        Run(output, expected, pools, threads).judge(pictures)

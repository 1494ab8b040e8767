"""Messages in templates of HTML: `_`, `ngettext`, and the language of the page.

A message is markup as it stands in the template, and every value in it is escaped. Templates call
them as Python does, see core.i18n.
"""

from jinja2 import Environment
from markupsafe import Markup

from .i18n import filled, is_from_right, language, translated, translated_plural


def install(environment: Environment) -> None:
    """Gives the templates of an environment the functions of messages.

    Values pass through the environment's `finalize`, as expressions that stand alone do.
    """

    def message(text: str, /, **values: object) -> Markup:
        return _markup(environment, translated(text), text, values)

    def plural(one: str, many: str, n: int, /, **values: object) -> Markup:
        found = translated_plural(one, many, n)
        return _markup(environment, found, one if n == 1 else many, {"n": n} | values)

    environment.globals |= {
        "_": message,
        "ngettext": plural,
        "language": language,
        "is_from_right": is_from_right,
    }


def _markup(environment: Environment, text: str, english: str, values: dict[str, object]) -> Markup:
    final = environment.finalize
    shown = {name: final(value) if final else value for name, value in values.items()}
    # Our own words and those of our catalogues; only the values are from elsewhere.
    return Markup(filled(Markup(text), Markup(english), shown))  # noqa: S704

"""The pictures of a run: found fit to teach, and parted into learning and validating."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from antifake.core.decoder import Decoder

from .crew import Crew
from .examples import Example
from .splits import split, without_leaks
from .survey import Surveyed, both_classes, survey, without_copies

Say = Callable[[str], None]


@dataclass(frozen=True)
class Lessons:
    """Readable pictures, none twice, none in both parts."""

    learn: list[Surveyed]
    validate: list[Surveyed]


def gather(
    learn: Sequence[Example], validate: Sequence[Example], seed: int, crew: Crew, look: "Look"
) -> Lessons:
    """Survey all pictures and part them; without any to validate on, some are held back.

    Raises UsageError where they cannot teach.
    """
    learning, validating = look.at(learn, crew), look.at(validate, crew)
    without_copies([*learning, *validating])  # raises where a label contradicts another
    learning, notes = without_copies(learning)
    validating, more = without_copies(validating)
    both_classes(learning, "to learn from")
    if validate:
        validating, rest = without_leaks(learning, validating)
    else:
        learning, validating, rest = split(learning, seed)
    both_classes(validating, "to validate on")
    for note in notes + more + rest:
        look.say(note)
    return Lessons(learning, validating)


@dataclass(frozen=True)
class Look:
    """How pictures are surveyed: by whom they are decoded, to whom is complained."""

    decoder: Decoder
    say: Say

    def at(self, examples: Sequence[Example], crew: Crew) -> list[Surveyed]:
        """The readable ones, in order: each process looks at its share, all get the whole."""
        found, complaints = survey(crew.share(examples), self.decoder)
        for complaint in crew.gathered(complaints):
            self.say(complaint)
        known = {one.example: one for one in crew.gathered(found)}
        return [known[example] for example in examples if example in known]


def counts(pictures: Sequence[Surveyed]) -> dict[str, int]:
    fakes = sum(one.is_fake for one in pictures)
    return {"real": len(pictures) - fakes, "fake": fakes}

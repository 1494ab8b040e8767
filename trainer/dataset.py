"""The samples of a run, split into training and validation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from antifake.core.decoder import Decoder

from .distributed import ProcessGroup
from .examples import Example
from .samples import Sample, read_samples, require_both_classes, without_duplicates
from .splits import split, without_leaks

Say = Callable[[str], None]


@dataclass(frozen=True)
class Dataset:
    """Readable pictures, each once and in one part only."""

    learn: list[Sample]
    validate: list[Sample]


def load_dataset(
    learn: Sequence[Example],
    validate: Sequence[Example],
    seed: int,
    process_group: ProcessGroup,
    reader: "SampleReader",
) -> Dataset:
    """Reads all pictures and splits them. Without validation pictures some are held back.

    Raises UsageError where they are too few or contradict each other.
    """
    learning, validating = reader.read(learn, process_group), reader.read(validate, process_group)
    without_duplicates([*learning, *validating])  # raises where two labels contradict
    learning, notes = without_duplicates(learning)
    validating, more = without_duplicates(validating)
    require_both_classes(learning, "learn")
    if validate:
        validating, rest = without_leaks(learning, validating)
    else:
        learning, validating, rest = split(learning, seed)
    require_both_classes(validating, "validate")
    for note in notes + more + rest:
        reader.say(note)
    return Dataset(learning, validating)


@dataclass(frozen=True)
class SampleReader:
    """How pictures are read: the decoder, and where complaints are said."""

    decoder: Decoder
    say: Say

    def read(self, examples: Sequence[Example], process_group: ProcessGroup) -> list[Sample]:
        """Returns the readable ones in their order. Each process reads its shard, all get all."""
        found, complaints = read_samples(process_group.shard(examples), self.decoder)
        for complaint in process_group.gather(complaints):
            self.say(complaint)
        known = {one.example: one for one in process_group.gather(found)}
        return [known[example] for example in examples if example in known]


def counts(pictures: Sequence[Sample]) -> dict[str, int]:
    """Returns the number of pictures of each class."""
    fakes = sum(one.is_fake for one in pictures)
    return {"real": len(pictures) - fakes, "fake": fakes}

"""Small trees laid out as benchmark suites are."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

from kit.pictures import picture, saved

_SEEDS = count(1000)


def fill(folder: Path, n: int = 2, kind: str = "PNG") -> None:
    """Writes n pictures, each different from all others, into a new folder."""
    folder.mkdir(parents=True)
    for number in range(n):
        (folder / f"{number}.{kind.lower()}").write_bytes(saved(picture(next(_SEEDS)), kind))


def antifakeprompt(root: Path, n: int = 2) -> Path:
    for name in ("COCO", "Flickr", "SD2", "SDXL", "dalle_2"):
        fill(root / name, n, "JPEG" if name in ("COCO", "Flickr") else "PNG")
    fill(root / "unrelated", 1)
    return root


def forensynths(root: Path, n: int = 2) -> Path:
    for gen in ("progan/cat", "progan/dog", "biggan"):
        both(root / gen, "0_real", "1_fake", n)
    return root


def universalfakedetect(root: Path, n: int = 2) -> Path:
    forensynths(root, n)
    for name in ("imagenet/0_real", "laion/0_real", "guided/1_fake", "ldm_100/1_fake"):
        fill(root / "diffusion_datasets" / name, n)
    return root


def genimage(root: Path, n: int = 2) -> Path:
    both(root / "ADM" / "imagenet_ai_0508_adm" / "val", "nature", "ai", n)
    both(root / "imagenet_ai_0419_biggan" / "val", "nature", "ai", n)
    both(root / "ADM" / "imagenet_ai_0508_adm" / "train", "nature", "ai", 1)
    return root


def aigibench(root: Path, n: int = 2) -> Path:
    for gen in ("ProGAN", "FLUX1-dev"):
        both(root / "test" / gen, "0_real", "1_fake", n)
    both(root / "train" / "car", "0_real", "1_fake", 1)
    return root


def synthbuster(root: Path, n: int = 2) -> Path:
    for name in ("dalle2", "midjourney-v5", "RAISE-1k"):
        fill(root / name, n)
    return root


def raid(root: Path, n: int = 2) -> Path:
    for level in ("original", "epsilon32"):
        for name in ("real", "gen_0", "gen_1"):
            fill(root / level / name, n)
    return root


def both(folder: Path, real: str, fake: str, n: int) -> None:
    fill(folder / real, n, "JPEG")
    fill(folder / fake, n)


def bfree(root: Path) -> Path:
    """Writes three copies of each of two pictures; of a third one, no copy was there any more."""
    rows = []
    for label, source in (("REAL", "r1"), ("FAKE", "f1")):
        fill(root / label / source, 3, "JPEG")
        rows += [(f"{label}/{source}/{number}.jpeg", label, source) for number in range(3)]
    rows.append(("FAKE/gone/0.jpeg", "FAKE", "gone"))
    header = ("filename", "label", "source_id", "url")
    links = [(*row, "https://example.org/x.jpg") for row in rows]
    write_csv(root / "BFree_viral_images.csv", header, links)
    return root


def write_csv(path: Path, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([header, *rows])
    path.write_text(out.getvalue(), "utf-8")


def openfake(root: Path, n: int = 2) -> Path:
    """Writes two Parquet files as the hub has them: pictures as {bytes, path}, words as labels."""
    rows = list(_parquet_rows(n))
    write_parquet(root / "data" / "test-00000-of-00002.parquet", rows[: len(rows) // 2])
    write_parquet(root / "data" / "test-00001-of-00002.parquet", rows[len(rows) // 2 :])
    write_parquet(root / "data" / "train-00000-of-00001.parquet", rows[:1])
    return root


def _parquet_rows(n: int) -> Iterator[Mapping[str, object]]:
    for model, label in (("flux.1-dev", "fake"), ("imagen-4.0", "fake"), ("real", "real")):
        for _ in range(n):
            data = saved(picture(next(_SEEDS)), "JPEG")
            yield {"image": {"bytes": data, "path": None}, "label": label, "model": model}


def communityforensics(root: Path, n: int = 2) -> Path:
    """Writes a Parquet file with plain bytes and numbers as labels."""
    rows = [
        {
            "image_data": saved(picture(next(_SEEDS)), "PNG"),
            "label": int(name != "coco"),
            "model_name": name,
        }
        for name in ("galip", "coco", "kandinsky")
        for _ in range(n)
    ]
    write_parquet(root / "CompEval-00000.parquet", rows)
    return root


def write_parquet(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    from pyarrow import Table
    from pyarrow.parquet import write_table

    path.parent.mkdir(parents=True, exist_ok=True)
    # Groups of two rows: reading must find its way over their borders.
    write_table(Table.from_pylist(list(rows)), path, row_group_size=2)

"""Turns a picture upright by its EXIF orientation, as browsers do."""

from PIL import Image

# EXIF orientation -> the transposition that turns the picture upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = [_TURNS[n] for n in (5, 6, 7, 8)]


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """Returns what turns a picture upright by its EXIF orientation; None if it is.

    ImageOps.exif_transpose would also rewrite the EXIF block, which fails if it is broken
    elsewhere.
    """
    try:
        value = image.getexif().get(0x0112)
    except Exception:  # noqa: BLE001 - as in decode(); the picture itself is good
        return None
    return _TURNS.get(value) if isinstance(value, int) else None

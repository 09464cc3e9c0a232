"""What has to be known of a TIFF picture before its values can be trusted."""

from PIL import Image as PillowImage

from aunet.errors import ImageReadError

_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO, _UNSIGNED = 0, 1
_KINDS = {_UNSIGNED: "unsigned", 2: "signed", 3: "float", 5: "complex integer", 6: "complex float"}


def check_tiff(picture: PillowImage.Image) -> None:
    """Pass over whole numbers of 1 to 8 or of 16 bits, and refuse what would lose bits.

    Raises:
        ImageReadError: The values are floats, signed, of 12 or 32 bits, or of 16 bits in colour.
    """
    tags = picture.getexif()
    bits = _values(tags.get(_BITS_PER_SAMPLE, 1))
    kinds = _values(tags.get(_SAMPLE_FORMAT, _UNSIGNED))
    if set(kinds) != {_UNSIGNED} or not set(bits) <= {1, 2, 4, 8, 16} or (16 in bits and len(bits) > 1):
        kind = " and ".join(sorted({_KINDS.get(one, f"sample format {one}") for one in kinds}))
        each = " + ".join(map(str, bits))
        msg = f"TIFF of {each} bits, {kind}, expected unsigned grey of 8 or 16 bits; convert it"
        raise ImageReadError(msg)


def is_white_zero(picture: PillowImage.Image) -> bool:
    """Whether zero means white; Pillow undoes it for 8 bits, and not for 16."""
    return int(picture.getexif().get(_PHOTOMETRIC, 1)) == _WHITE_IS_ZERO


def _values(entry: object) -> tuple[int, ...]:
    return tuple(int(value) for value in entry) if isinstance(entry, tuple) else (int(str(entry)),)

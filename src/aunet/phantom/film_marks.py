"""What lies on a scanned film beside the breast: bright borders, letters, tape and clips."""

import math

import numpy as np
from jaxtyping import Bool, UInt16

from aunet.sample import Laterality, Mask2D, Shape, View

# Letters of lead: strokes as (row, column) corners in a box 1 high; a letter is `WIDTHS` wide.
_ARC = [(0.5 - 0.5 * math.sin(turn), 0.32 + 0.32 * math.cos(turn)) for turn in np.linspace(0.7, 2 * math.pi - 0.7, 12)]
_RING = [(0.5 - 0.5 * math.sin(turn), 0.35 + 0.35 * math.cos(turn)) for turn in np.linspace(0, 2 * math.pi, 16)]
STROKES: dict[str, list[list[tuple[float, float]]]] = {
    "L": [[(0, 0), (1, 0), (1, 0.5)]],
    "R": [
        [(1, 0), (0, 0), (0, 0.35), (0.1, 0.52), (0.25, 0.55), (0.42, 0.5), (0.5, 0.35), (0.5, 0)],
        [(0.5, 0.3), (1, 0.58)],
    ],
    "M": [[(1, 0), (0, 0), (0.75, 0.36), (0, 0.72), (1, 0.72)]],
    "O": [_RING],
    "C": [_ARC],
}
WIDTHS = {"L": 0.5, "R": 0.58, "M": 0.72, "O": 0.7, "C": 0.64}
GAP = 0.26
STROKE = 0.09
"""Half the width of a stroke over the height of a letter."""
CLEAR = 0.97
"""Clear film as a part of the largest value."""


def letters(text: str, *, height: float, turn: float = 0.0) -> Bool[np.ndarray, "h w"]:
    """A text in letters of lead.

    Args:
        text: Of the letters L, R, M, O and C.
        height: Height of a letter in pixels.
        turn: Angle in radians by which the text is turned, clockwise.

    Returns:
        The smallest rectangle that holds the text.
    """
    segments = []
    start = 0.0
    for letter in text:
        for stroke in STROKES[letter]:
            corners = np.array(stroke) + np.array([0.0, start])
            segments.append(np.stack([corners[:-1], corners[1:]], axis=1))
        start += WIDTHS[letter] + GAP
    rotation = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    ends = np.concatenate(segments) @ rotation.T * height
    half = max(STROKE * height, 0.5)
    low, high = ends.min(axis=(0, 1)) - half, ends.max(axis=(0, 1)) + half
    rows, columns = (np.arange(math.ceil(span)) + 0.5 for span in high - low)
    grid = np.stack(np.meshgrid(rows + low[0], columns + low[1], indexing="ij"), axis=-1)
    drawn = np.zeros(grid.shape[:2], dtype=bool)
    for first, second in ends:
        along = second - first
        part = np.clip((grid - first) @ along / max(float(along @ along), 1e-9), 0, 1)
        drawn |= np.hypot(*np.moveaxis(grid - first - part[..., None] * along, -1, 0)) <= half
    return drawn


def mark_film(
    rng: np.random.Generator,
    pixels: UInt16[np.ndarray, "h w"],
    inside: Mask2D,
    *,
    laterality: Laterality,
    view: View,
) -> UInt16[np.ndarray, "h w"]:
    """The film with its marks; the chest wall is where the finished image has it.

    Letters, tape and clips stay off the breast; the bright borders run along it at the chest wall, as on real films.
    """
    marked = pixels.copy()
    chest_on_left = laterality == "L"
    _draw_label(rng, marked, inside, f"{laterality}{view}", chest_on_left=chest_on_left)
    if rng.random() < 0.35:
        _draw_tape(rng, marked, inside, chest_on_left=chest_on_left)
    if rng.random() < 0.2:
        _draw_clip(rng, marked, inside, chest_on_left=chest_on_left)
    _draw_borders(rng, marked, chest_on_left=chest_on_left)
    return marked


def border_widths(rng: np.random.Generator, shape: Shape, *, chest_on_left: bool) -> tuple[int, int, int, int]:
    """Widths in pixels of the clear film at the top, bottom, left and right; some sides have none."""
    rows, columns = shape
    top, bottom = (int(rng.uniform(0.003, 0.012) * rows) if rng.random() < 0.6 else 0 for _ in range(2))
    chest = int(rng.uniform(0.002, 0.008) * columns) if rng.random() < 0.5 else 0
    far = int(rng.uniform(0.003, 0.015) * columns) if rng.random() < 0.5 else 0
    return (top, bottom, chest, far) if chest_on_left else (top, bottom, far, chest)


def _draw_borders(rng: np.random.Generator, pixels: UInt16[np.ndarray, "h w"], *, chest_on_left: bool) -> None:
    rows, columns = pixels.shape
    widths = border_widths(rng, (rows, columns), chest_on_left=chest_on_left)
    # The edge of the collimator is seldom parallel to the film's.
    slants = rng.normal(0, 0.003, size=4)
    row, column = np.arange(rows), np.arange(columns)
    lean = np.round(slants[0] * (column - columns / 2)).astype(int), np.round(slants[1] * (row - rows / 2)).astype(int)
    top, bottom, left, right = widths
    clear = np.zeros((rows, columns), dtype=bool)
    if top:
        clear |= row[:, None] < top + lean[0][None, :]
    if bottom:
        clear |= row[:, None] >= rows - bottom + lean[0][None, :]
    if left:
        clear |= column[None, :] < left + lean[1][:, None]
    if right:
        clear |= column[None, :] >= columns - right + lean[1][:, None]
    _lighten(rng, pixels, clear, level=CLEAR)


def _draw_label(
    rng: np.random.Generator,
    pixels: UInt16[np.ndarray, "h w"],
    inside: Mask2D,
    text: str,
    *,
    chest_on_left: bool,
) -> None:
    """The letters of view and side, towards the armpit and away from the chest wall."""
    rows, columns = pixels.shape
    height, turn = rows * rng.uniform(0.022, 0.036), rng.normal(0, 0.5)
    # Towards the wall the text falls, as a label stuck along the skin line does.
    glyphs = letters(text, height=height, turn=abs(turn) if chest_on_left else -abs(turn))
    if rng.random() < 0.2:
        # A name plate: dark letters on clear film.
        glyphs = ~np.pad(letters(text, height=height), 4)
    if glyphs.shape[0] >= rows or glyphs.shape[1] >= columns:
        return
    for _ in range(12):
        first_row = int(rng.uniform(0.03, 0.3) * (rows - glyphs.shape[0]))
        from_edge = int(rng.uniform(0.04, 0.2) * (columns - glyphs.shape[1]))
        first_column = columns - glyphs.shape[1] - from_edge if chest_on_left else from_edge
        window = slice(first_row, first_row + glyphs.shape[0]), slice(first_column, first_column + glyphs.shape[1])
        if not inside[window].any():
            clear = np.zeros(pixels.shape, dtype=bool)
            clear[window] = glyphs
            _lighten(rng, pixels, clear, level=rng.uniform(0.75, CLEAR))
            return


def _draw_tape(
    rng: np.random.Generator, pixels: UInt16[np.ndarray, "h w"], inside: Mask2D, *, chest_on_left: bool
) -> None:
    """A strip of tape: a grey, slightly slanted bar beside the breast."""
    rows, columns = pixels.shape
    height, length = int(rng.uniform(0.02, 0.05) * rows), int(rng.uniform(0.15, 0.4) * columns)
    first_row, slant = int(rng.uniform(0.02, 0.95) * rows), rng.normal(0, 0.05)
    column = np.arange(columns) if not chest_on_left else np.arange(columns)[::-1]
    start = int(rng.uniform(0.0, 0.15) * columns)
    middle = first_row + slant * column
    bar = (
        (np.abs(np.arange(rows)[:, None] - middle[None, :]) < height / 2)
        & (column >= start)
        & (column < start + length)
    )
    _lighten(rng, pixels, bar & ~inside, level=rng.uniform(0.12, 0.4))


def _draw_clip(
    rng: np.random.Generator, pixels: UInt16[np.ndarray, "h w"], inside: Mask2D, *, chest_on_left: bool
) -> None:
    """A metal clip: a small bright bar in the dark part of the film."""
    rows, columns = pixels.shape
    height, width = max(2, int(0.012 * rows)), max(2, int(0.05 * columns))
    # Below the label, which would be unreadable under it.
    row = int(rng.uniform(0.45, 0.9) * (rows - height))
    from_edge = int(rng.uniform(0.02, 0.25) * columns)
    column = columns - width - from_edge if chest_on_left else from_edge
    bar = np.zeros(pixels.shape, dtype=bool)
    bar[row : row + height, column : column + width] = True
    _lighten(rng, pixels, bar & ~inside, level=CLEAR)


def _lighten(rng: np.random.Generator, pixels: UInt16[np.ndarray, "h w"], where: Mask2D, *, level: float) -> None:
    """Set pixels to clear film of this level, with a little noise; what is already lighter stays."""
    count = int(where.sum())
    value = 65535 * (level + 0.006 * rng.standard_normal(count, dtype=np.float32))
    pixels[where] = np.maximum(pixels[where], np.clip(value, 0, 65535).astype(np.uint16))

"""Prepared samples kept on disk, so that the second epoch and the second run read no DICOM.

An entry is two files named by a key: `KEY.npy` (image and mask as bytes, memory-mapped) and `KEY.json` (their shape,
checksum, grid, spacing and notes). The key is a hash of the source files' content, of what the table says of them and
of the settings, so an entry is never out of date: another file or another setting has another key. Files are written
aside and renamed, the `.json` last; an entry that is incomplete or damaged is made again.
"""

import hashlib
import json
import logging
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from scipy import ndimage

from aunet.errors import WriteError
from aunet.io.aside import digest, write_text, written_aside
from aunet.io.files import read_sample
from aunet.preprocessing.grid import Crop, Grid
from aunet.preprocessing.pipeline import Preprocessing, prepare
from aunet.sample import Image, Mask2D, Sample, Spacing

logger = logging.getLogger(__name__)

CACHE_FORMAT = 6
"""Part of every key; raised whenever preparing the same file by the same settings gives other numbers."""
CUT_OFF = (
    "{} masses lie outside of what preprocessing keeps; they count as not found, and overlap is measured without them"
)
_FRESH_S = 2.0
"""A file changed so short a time ago may change again without a new time stamp: its hash is not remembered yet."""
_ABANDONED_S = 3600.0
"""A file written aside and not renamed for so long was left by a process that died."""


@dataclass(frozen=True, slots=True)
class PreparedSample:
    """One sample on the model grid, ready for the network."""

    sample: Sample
    grey: Image
    """Before anything is done to channels; what random changes are made to in training."""
    image: Float32[np.ndarray, "c h w"]
    """The network's input."""
    mask: Mask2D
    """The reference masses on the model grid."""
    grid: Grid
    """The way back to the source pixels."""
    spacing_mm: Spacing | None
    """(row, column) millimetres a model pixel; None where the source gives no trustworthy value."""
    notes: tuple[str, ...] = ()
    """What reading and preparing repaired, one sentence each."""
    n_cut_off: int = 0
    """Masses of the source of which the model grid shows nothing; not counted where a patch is cut around one."""


class PreparedCache:
    """Prepared samples by content and settings; several processes may use one folder at a time."""

    def __init__(self, folder: Path | None, settings: Preprocessing, *, allow_for_processing: bool = False) -> None:
        """Open a cache folder.

        Args:
            folder: Where entries are kept (made if missing); None prepares every sample anew.
            settings: How samples are prepared.
            allow_for_processing: Let FOR PROCESSING images through, see `io.files.read_sample`.
        """
        self.folder = folder
        self.settings = settings
        self._allow_for_processing = allow_for_processing
        self._checked: set[str] = set()
        self._hashes: dict[tuple[str, int, int], str] = {}
        # Kept before anything is done to channels, so that grey and RGB share their entries.
        facts = [CACHE_FORMAT, version("aunet"), settings.grey().to_json(), allow_for_processing]
        self._settings_key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(folder)

    def load(self, sample: Sample) -> PreparedSample:
        """A sample on the model grid, from its entry if there is a sound one, else read, prepared and kept.

        Args:
            sample: What to read.

        Returns:
            The prepared sample; its arrays are the caller's own. A folder that takes no entry is a `WriteError`.
        """
        if self.folder is None:
            return self._prepared(sample)
        try:
            key = self._key(sample, folder=self.folder)
        except FileNotFoundError:
            return self._prepared(sample)  # the reader says what is missing
        kept = self._kept(sample, entry=self.folder / key)
        if kept is not None:
            return kept
        prepared = self._prepared(sample)
        with _writing(self.folder):
            _keep(prepared, entry=self.folder / key)
        return prepared

    def _prepared(self, sample: Sample) -> PreparedSample:
        mammogram, mask = read_sample(sample, allow_for_processing=self._allow_for_processing)
        prepared = prepare(mammogram.image, self.settings.grey(), mask=mask.pixels)
        n_cut_off = _masses_beyond(prepared.grid.crop, mask.pixels) if self.settings.patch_margin is None else 0
        (grey,) = prepared.image
        spacing_mm = mammogram.spacing_mm
        return PreparedSample(
            sample=sample,
            grey=grey,
            image=self.settings.to_channels(grey),
            mask=prepared.grid.to_model_mask(mask.pixels),
            grid=prepared.grid,
            spacing_mm=prepared.grid.model_spacing_mm(spacing_mm) if spacing_mm else None,
            notes=(*mammogram.notes, *mask.notes, *prepared.notes, *([CUT_OFF.format(n_cut_off)] if n_cut_off else [])),
            n_cut_off=n_cut_off,
        )

    def _key(self, sample: Sample, *, folder: Path) -> str:
        """The entry's name: hash of both files' content, the table's facts and the settings."""
        facts = [
            self._settings_key,
            self._content_hash(sample.image_path, folder=folder),
            [self._content_hash(path, folder=folder) for path in sample.mask_paths],
            sample.laterality,
            sample.view,
            sample.spacing_mm,
            sample.region_names,
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def _content_hash(self, path: Path, *, folder: Path) -> str:
        """SHA-256 of a file, remembered by path, size and time of change so that no file is read twice for it."""
        state = path.stat()
        identity = (str(path.resolve()), state.st_size, state.st_mtime_ns)
        if identity in self._hashes:
            return self._hashes[identity]
        # The path is hashed as well: it may hold a patient's number, and a file name must not.
        note = folder / f"{hashlib.sha256(identity[0].encode()).hexdigest()}.hash"
        sha256 = _noted_hash(note, identity)
        if sha256 is None:
            sha256 = digest(path)
            if time.time() - state.st_mtime < _FRESH_S:
                return sha256
            with _writing(folder):
                write_text(note, json.dumps({"identity": identity[1:], "sha256": sha256}))
        self._hashes[identity] = sha256
        return sha256

    def _kept(self, sample: Sample, *, entry: Path) -> PreparedSample | None:
        """The entry's sample; None where there is no entry, or a damaged one."""
        try:
            note = json.loads(entry.with_suffix(".json").read_text(encoding="utf-8"))
            content = np.load(entry.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
            grid = Grid.from_json(json.dumps(note["grid"]))
            self._check(content, key=entry.name, crc32=int(note["crc32"]))
            rows, columns = grid.model_shape
            split = rows * columns * np.dtype(np.float32).itemsize
            grey = np.array(content[:split].view(np.float32).reshape(rows, columns))
            mask = content[split:].view(np.bool_).reshape(rows, columns)
            spacing = note["spacing_mm"]
            return PreparedSample(
                sample=sample,
                grey=grey,
                image=self.settings.to_channels(grey),
                mask=np.array(mask),
                grid=grid,
                spacing_mm=None if spacing is None else (float(spacing[0]), float(spacing[1])),
                notes=tuple(note["notes"]),
                n_cut_off=int(note["n_cut_off"]),
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, EOFError, OSError) as error:
            logger.warning("the cache entry %s is damaged (%s) and made again", entry.name[:12], error)
            self._checked.discard(entry.name)
            return None

    def _check(self, content: UInt8[np.ndarray, " n"], *, key: str, crc32: int) -> None:
        """Compare an entry's bytes with its checksum, once in each process.

        Raises:
            ValueError: They differ.
        """
        if key in self._checked:
            return
        if zlib.crc32(content.tobytes()) != crc32:
            msg = "its checksum differs"
            raise ValueError(msg)
        self._checked.add(key)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """A block that writes into the folder of the cache.

    Raises:
        WriteError: The system does not let it.
    """
    try:
        yield
    except OSError as error:
        msg = f"{folder}: can't keep prepared samples there ({error.strerror}); name another folder"
        raise WriteError(msg) from error


def _masses_beyond(crop: Crop, mask: Mask2D) -> int:
    """How many masses have no pixel inside of a part of the image."""
    if np.count_nonzero(crop.apply(mask)) == np.count_nonzero(mask):
        return 0
    masses, count = ndimage.label(mask, structure=np.ones((3, 3)))
    return int(count - np.count_nonzero(np.unique(crop.apply(masses))))


def _keep(prepared: PreparedSample, *, entry: Path) -> None:
    """Write an entry, its note last."""
    content = prepared.grey.tobytes() + prepared.mask.tobytes()
    with written_aside(entry.with_suffix(".npy")) as aside, aside.open("wb") as file:
        np.save(file, np.frombuffer(content, dtype=np.uint8), allow_pickle=False)
    note = {
        "crc32": zlib.crc32(content),
        "grid": json.loads(prepared.grid.to_json()),
        "spacing_mm": prepared.spacing_mm,
        "notes": prepared.notes,
        "n_cut_off": prepared.n_cut_off,
    }
    write_text(entry.with_suffix(".json"), json.dumps(note))


def _noted_hash(note: Path, identity: tuple[str, int, int]) -> str | None:
    """The hash noted for a file of this size and time of change."""
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
        return str(content["sha256"]) if content["identity"] == list(identity[1:]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remove_abandoned(folder: Path) -> None:
    for aside in folder.glob(".*.part"):
        with suppress(FileNotFoundError):
            if time.time() - aside.stat().st_mtime > _ABANDONED_S:
                aside.unlink()

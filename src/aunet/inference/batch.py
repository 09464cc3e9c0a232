"""Many files from disk to results: reading, computing and writing overlap, and one bad file stops nothing."""

import errno
import logging
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import numpy as np

from aunet.errors import AunetError, CheckpointError, ReadError, WriteError
from aunet.inference.inputs import Input, PassedOver, find_inputs, name_results, readable
from aunet.inference.overlay import draw_overlay
from aunet.inference.results import Key, Result, forget_record, read_records, write_record, write_results
from aunet.inference.results_folder import PICTURES, claim_results_folder
from aunet.inference.segmenter import ModelProbability, Segmentation, Segmenter
from aunet.io.aside import digest
from aunet.io.dicom_seg import MAX_SEGMENTS, write_seg
from aunet.io.files import is_dicom, read_mammogram
from aunet.io.images import write_png
from aunet.preprocessing.pipeline import Prepared
from aunet.sample import Mammogram

logger = logging.getLogger(__name__)

NO_MASS_NOTE = "No mass was found; a SEG can't hold zero segments, so none is written."
_NO_MORE_RESULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""What the system says where no result at all can be written any more."""
MANY_MASSES_NOTE = f"There are more than {MAX_SEGMENTS} masses; the SEG holds them all in one segment."


@dataclass(frozen=True, slots=True)
class Options:
    """What the user may choose besides weights and places."""

    viewer_geometry: bool = False
    """Add an invented geometry to each SEG, without which OHIF does not open it."""
    allow_for_processing: bool = False
    """Segment FOR PROCESSING images too, each with a note."""
    readers: int = 2
    """Threads that read; each holds one image at a time."""


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What came of a run."""

    results: tuple[Result, ...]
    """One for each input of this run, in the order given."""
    passed_over: tuple[PassedOver, ...]
    n_reused: int
    """How many results were there already."""
    n_of_other_weights: int
    """How many results of former runs, beside these in the table, are of other weights."""

    @property
    def failed(self) -> tuple[Result, ...]:
        """The inputs with an error."""
        return tuple(result for result in self.results if result.status == "failed")


@dataclass(frozen=True, slots=True)
class _Job:
    """One input on its way."""

    file: Input
    name: str
    key: Key


@dataclass(frozen=True, slots=True)
class _Ready:
    """An input that was read and waits for the network."""

    job: _Job
    mammogram: Mammogram
    prepared: Prepared


def segment_files(
    paths: Sequence[Path],
    segmenter: Segmenter,
    out: Path,
    *,
    options: Options | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> BatchReport:
    """Segment files and folders; what is in `out` already and complete is not done again.

    For each input there is a mask PNG of the source's size (0 and 255), an overlay PNG, for a DICOM input with a mass
    a SEG, and a record; results.csv and results.json list every record in `out`, those of former runs too. The
    record names the content of the input and of the weights, so that a changed file or other weights are computed anew.

    Args:
        paths: Files and folders, as the user typed them.
        segmenter: What finds masses.
        out: Folder of the results.
        options: What the user chose.
        on_progress: Called with the number of inputs done and their total.

    Returns:
        What came of it; an input that failed is a result with an error.

    Raises:
        CheckpointError: The network needs patches around known masses.
        ValueError: There is no file at the given paths.
        WriteError: The folder of the results can't be written, or holds masks that are none of ours.
    """
    if segmenter.preprocessing.patch_margin is not None:
        msg = "this network was trained on patches around known masses; it can't find masses in whole mammograms"
        raise CheckpointError(msg)
    inputs = find_inputs(paths)
    if not inputs.files:
        raise ValueError(_no_images(paths, inputs.passed_over))
    results = []
    try:
        claim_results_folder(out)
        batch = _Batch(segmenter, out, options or Options(), _records_to_keep(out))
        for result in batch.run(inputs.files):
            results.append(result)
            if on_progress is not None:
                on_progress(len(results), len(inputs.files))
        # From the disk: another run may have added to the folder meanwhile.
        rows = tuple(read_records(out).values())
        write_results(out, rows, inputs.passed_over, weights=segmenter.files)
    except OSError as error:
        msg = f"{out}: results can't be written ({error.strerror or error}); once they can, the same command goes on"
        raise WriteError(msg) from error
    n_of_other_weights = sum(row.key.weights_sha256 != segmenter.weights_sha256 for row in rows)
    return BatchReport(tuple(results), inputs.passed_over, batch.n_reused, n_of_other_weights)


class _Batch:
    """The three stages of a run and what they share; only the main thread changes it."""

    def __init__(self, segmenter: Segmenter, out: Path, options: Options, records: dict[str, Result]) -> None:
        self.segmenter = segmenter
        self.out = out
        self.options = options
        self.records = records
        self.n_reused = 0
        self._hashes: dict[Path, str] = {}

    def run(self, files: Sequence[Input]) -> Iterator[Result]:
        """The result of each input, in order.

        At any time there are at most `readers` images read or being read, one in the network and two being written:
        memory does not grow with the number of inputs.
        """
        names = name_results(
            files,
            {name: result.place_sha256 for name, result in self.records.items()},
            is_same_image=self._is_same_image,
        )
        waiting = iter(zip(files, names, strict=True))
        reading: deque[Future[_Ready | Result]] = deque()
        writing: deque[Future[Result]] = deque()
        with (
            ThreadPoolExecutor(self.options.readers, "read") as readers,
            ThreadPoolExecutor(1, "write") as writer,
        ):

            def read(count: int) -> None:
                reading.extend(readers.submit(self._read, file, name) for file, name in islice(waiting, count))

            read(self.options.readers)
            while reading or writing:
                if reading:
                    ready = reading.popleft().result()
                    read(1)
                    writing.append(self._compute(ready, writer))
                    del ready  # an image: nobody holds it but the writer
                if not reading or len(writing) > 1:
                    yield writing.popleft().result()

    def _is_same_image(self, file: Input, name: str) -> bool:
        """Whether the image of a result was moved to where this input is; a copy has results of its own."""
        known = self.records[name]
        before = Input(Path(known.input), Path())
        if before.place_sha256 == known.place_sha256 and before.path.exists():
            return False
        try:
            return self._content_hash(file) == known.key.content_sha256
        except (OSError, ReadError):
            return False

    def _read(self, file: Input, name: str) -> _Ready | Result:
        """The first stage, in a reading thread: the image prepared, or the result already there, or an error."""
        job = _Job(file, name, self._key(""))
        try:
            job = replace(job, key=self._key(self._content_hash(file)))
            known = self.records.get(name)
            if known is not None and known.key == job.key and known.is_complete_in(self.out):
                return replace(known, input=file.typed, place_sha256=file.place_sha256)
            mammogram = read_mammogram(file.path, allow_for_processing=self.options.allow_for_processing)
            return _Ready(job, mammogram, self.segmenter.prepare(mammogram))
        except Exception as error:  # noqa: BLE001 - whatever a broken file sets off must not reach the other files
            return self._failed(job, error)

    def _compute(self, ready: _Ready | Result, writer: ThreadPoolExecutor) -> Future[Result]:
        """The second stage, in the main thread: the network; then the third is on its way."""
        if isinstance(ready, Result):
            self.n_reused += ready.status == "segmented"
            return writer.submit(self._keep, ready)
        try:
            probability = self.segmenter.probability(ready.prepared.image[np.newaxis])[0]
        except Exception as error:  # noqa: BLE001 - as in _read
            return writer.submit(self._keep, self._failed(ready.job, error))
        return writer.submit(self._write, ready, probability)

    def _write(self, ready: _Ready, probability: ModelProbability) -> Result:
        """The third stage, in the writing thread: masses, pictures, SEG, and the record at the very end."""
        try:
            result = self._written(ready, self.segmenter.finish(ready.mammogram, ready.prepared, probability))
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _NO_MORE_RESULTS:
                raise  # nothing of this input
            result = self._failed(ready.job, error)
        return self._keep(result)

    def _written(self, ready: _Ready, found: Segmentation) -> Result:
        job, mammogram = ready.job, ready.mammogram
        mask, overlay = f"masks/{job.name}.png", f"overlays/{job.name}.png"
        write_png(_with_folder(self.out / mask), found.mask.astype(np.uint8) * np.uint8(255))
        write_png(_with_folder(self.out / overlay), draw_overlay(mammogram.image, found.mask))
        result = Result(
            input=job.file.typed,
            place_sha256=job.file.place_sha256,
            name=job.name,
            key=job.key,
            status="segmented",
            notes=mammogram.notes + found.notes,
            laterality=mammogram.laterality,
            view=mammogram.view,
            rows=mammogram.shape[0],
            columns=mammogram.shape[1],
            spacing_mm=mammogram.spacing_mm,
            spacing_source=mammogram.spacing_source,
            masses=found.masses,
            mask=mask,
            overlay=overlay,
        )
        return self._with_seg(result, job.file, mammogram, found) if is_dicom(job.file.path) else result

    def _with_seg(self, result: Result, file: Input, mammogram: Mammogram, found: Segmentation) -> Result:
        """The result with a SEG, or with the reason why there is none."""
        if not found.masses:
            return replace(result, notes=(*result.notes, NO_MASS_NOTE))
        seg = f"seg/{result.name}.dcm"
        card = self.segmenter.card
        try:
            write_seg(
                self.out / seg,
                source=mammogram.source,
                mask=found.mask,
                card_name=card.network.name,
                card_version=f"{card.versions.get('aunet', 'unknown')} {_short(result.key.weights_sha256)}",
                laterality=mammogram.laterality,
                spacing_mm=mammogram.spacing_mm,
                viewer_geometry=self.options.viewer_geometry,
            )
        except WriteError as error:
            # The masses stand, and so do the pictures; only the SEG is missing.
            return replace(result, status="failed", error=_reason(file, error))
        notes = (MANY_MASSES_NOTE,) if len(found.masses) > MAX_SEGMENTS else ()
        return replace(result, seg=seg, notes=result.notes + notes)

    def _keep(self, result: Result) -> Result:
        """The result with its record on disk, and without files that a former run left under its name.

        An input that can't be read now loses nothing that a former run found in it.
        """
        known = self.records.get(result.name)
        is_unreadable = result.status == "failed" and not result.key.content_sha256
        if known != result and not (is_unreadable and known is not None and known.files):
            for kind, ending in PICTURES:
                file = f"{kind}/{result.name}.{ending}"
                if file not in result.files:
                    (self.out / file).unlink(missing_ok=True)
            write_record(self.out, result)
        if result.status == "failed":
            logger.warning("failed: %s", result.error)
        else:
            logger.debug("%s: %d masses", result.input, len(result.masses))
        return result

    def _failed(self, job: _Job, error: Exception) -> Result:
        file = job.file
        return Result(file.typed, file.place_sha256, job.name, job.key, "failed", error=_reason(file, error))

    def _content_hash(self, file: Input) -> str:
        """SHA-256 of an input, which is read for it once in a run.

        Raises:
            ReadError: It is no file; a pipe would be waited for without end.
        """
        if file.path.exists() and not file.path.is_file():
            msg = f"{file.typed}: a pipe, a device or a folder; give a file"
            raise ReadError(msg)
        if file.path not in self._hashes:
            self._hashes[file.path] = digest(file.path)
        return self._hashes[file.path]

    def _key(self, content_sha256: str) -> Key:
        return Key(
            content_sha256=content_sha256,
            weights_sha256=self.segmenter.weights_sha256,
            version=version("aunet"),
            matches_intensity=self.segmenter.matches_intensity,
            viewer_geometry=self.options.viewer_geometry,
            allow_for_processing=self.options.allow_for_processing,
            flips=self.segmenter.flips,
            scales=self.segmenter.scales,
        )


def _records_to_keep(out: Path) -> dict[str, Result]:
    """What former runs have found; the rows of inputs that could not even be read, a path mistyped say, go."""
    records = read_records(out)
    for name, result in tuple(records.items()):
        if result.status == "failed" and not result.key.content_sha256:
            forget_record(out, result)
            del records[name]
    return records


def _no_images(paths: Sequence[Path], passed_over: Sequence[PassedOver]) -> str:
    places = ", ".join(str(path) for path in paths)
    seen = "; ".join(f"{file.typed}: {file.reason}" for file in passed_over[:3])
    more = f" (passed over: {seen}{'; ...' if len(passed_over) > 3 else ''})" if seen else ""
    return f"no images at {places}{more}; give mammograms (DICOM, PNG, TIFF, JPEG, PGM)"


def _short(weights_sha256: str) -> str:
    """The beginning of each hash, at most what DICOM has room for."""
    hashes = weights_sha256.split(";")
    return hashes[0][:12] if len(hashes) == 1 else "+".join(one[:8] for one in hashes)[:50]


def _reason(file: Input, error: Exception) -> str:
    """What to say of an error: our own words, else its kind and place, since foreign words may quote the file."""
    if isinstance(error, AunetError):
        text = readable(str(error))
        return text if text.startswith(readable(str(file.path))) else f"{file.typed}: {text}"
    if isinstance(error, OSError) and error.strerror:
        return f"{file.typed}: {error.strerror}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{file.typed}: unexpected {type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"


def _with_folder(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path

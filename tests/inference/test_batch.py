"""Many files at once, with a stand-in for the network that takes brightness for probability."""

import csv
import errno
import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from PIL import Image as PillowImage
from pydicom import dcmread

from aunet.errors import CheckpointError, WriteError
from aunet.inference import batch
from aunet.inference.backends.backend import Backend, Images, Probabilities
from aunet.inference.batch import BatchReport, Options, segment_files
from aunet.inference.results import Result, read_records
from aunet.inference.segmenter import Segmenter, WeightsFile
from aunet.io.files import read_mammogram
from aunet.io.images import write_png
from aunet.preprocessing.pipeline import Preprocessing
from aunet.sample import Mammogram

SETTINGS = Preprocessing(rows=64, columns=48, channels=1)
PATIENT = ("Vonderhofen^Xaviera", "PID-90210", "19390517")


class StandIn(Backend, Protocol):
    """What `make_backend` gives; it counts its calls."""

    calls: int


MakeBackend = Callable[..., StandIn]
MakeSegmenter = Callable[..., Segmenter]
WriteDicom = Callable[..., Path]


@pytest.fixture
def bright(make_backend: MakeBackend) -> StandIn:
    """A stand-in for the network that takes brightness for probability."""
    return make_backend(SETTINGS, threshold=0.8)


@pytest.fixture
def segmenter(bright: StandIn) -> MakeSegmenter:
    """A segmenter of the stand-in or of another backend, from weights of any digest."""

    def make(backend: StandIn = bright, *, weights: str = "a1") -> Segmenter:
        return Segmenter.of(backend, files=(WeightsFile("best.safetensors", weights * 32),))

    return make


def pixels(*, mass_row: int = 90) -> np.ndarray:
    """A breast on the left edge with one bright rectangle, 200 x 150, 12 bits."""
    row, column = np.mgrid[:200, :150]
    image = np.where((row - 100) ** 2 + column**2 < 85**2, 1000, 0).astype(np.uint16)
    image[mass_row : mass_row + 24, 30:60] = 4000
    return image


def write_film(path: Path, image: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(pixels() if image is None else image).save(path)
    return path


@pytest.fixture
def write_dicom(write_dicom_film: WriteDicom) -> WriteDicom:
    """Writes the film, or another image, of a patient as DICOM."""

    def write(path: Path, image: np.ndarray | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        name, patient_id, birth_date = PATIENT
        patient = {"PatientName": name, "PatientID": patient_id, "PatientBirthDate": birth_date}
        return write_dicom_film(path, pixels() if image is None else image, **patient)

    return write


def rows_of(out: Path) -> dict[str, dict[str, str]]:
    with (out / "results.csv").open(newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def by_name(report: BatchReport) -> dict[str, Result]:
    return {result.name: result for result in report.results}


def test_a_dicom_file_gets_mask_overlay_seg_and_a_row(
    write_dicom: WriteDicom, segmenter: MakeSegmenter, tmp_path: Path
) -> None:
    film = write_dicom(tmp_path / "in" / "film.dcm")
    out = tmp_path / "out"

    (result,) = segment_files([film], segmenter(), out).results

    mask = np.asarray(PillowImage.open(out / "masks/film.png"))
    row, column = (int(places.mean()) for places in np.nonzero(mask))
    assert mask.shape == (200, 150)
    assert set(np.unique(mask)) == {0, 255}
    assert (abs(row - 101) <= 2, abs(column - 44) <= 2) == (True, True)
    assert np.asarray(PillowImage.open(out / "overlays/film.png")).shape == (200, 150, 3)
    assert dcmread(out / "seg/film.dcm").Modality == "SEG"
    (mass,) = result.masses
    assert mass.area_px == (mask > 0).sum()
    assert mass.area_mm2 == pytest.approx(mass.area_px * 0.01)
    row_of = rows_of(out)["film"]
    assert (row_of["status"], row_of["laterality"], row_of["view"], row_of["n_masses"]) == ("segmented", "L", "CC", "1")
    assert row_of["area_px"] == str(mass.area_px)


def test_a_picture_gets_no_seg_and_nothing_in_millimetres(segmenter: MakeSegmenter, tmp_path: Path) -> None:
    film = write_film(tmp_path / "in" / "film.png")

    (result,) = segment_files([film], segmenter(), tmp_path / "out").results

    assert result.seg == ""
    assert not (tmp_path / "out" / "seg").exists()
    assert result.masses[0].area_mm2 is None
    assert result.masses[0].diameter_mm is None


def test_without_a_mass_there_is_a_note_and_no_seg(
    write_dicom: WriteDicom, segmenter: MakeSegmenter, make_backend: MakeBackend, tmp_path: Path
) -> None:
    settings = Preprocessing(rows=64, columns=48, channels=1, intensity="z_score")
    backend = make_backend(settings, answer=lambda images: np.zeros((len(images), 64, 48), np.float32))

    (result,) = segment_files([write_dicom(tmp_path / "film.dcm")], segmenter(backend), tmp_path / "out").results

    assert result.status == "segmented"
    assert batch.NO_MASS_NOTE in result.notes
    assert result.seg == ""
    assert not np.asarray(PillowImage.open(tmp_path / "out" / result.mask)).any()


def test_a_bad_file_changes_nothing_for_the_others(
    write_dicom: WriteDicom, segmenter: MakeSegmenter, tmp_path: Path
) -> None:
    for number in range(4):
        write_dicom(tmp_path / "in" / f"{number}.dcm", pixels(mass_row=60 + 10 * number))
    without = by_name(segment_files([tmp_path / "in"], segmenter(), tmp_path / "without"))
    (tmp_path / "in" / "1_bad.dcm").write_bytes((tmp_path / "in" / "1.dcm").read_bytes()[:3000])
    (tmp_path / "in" / "2_bad.png").write_bytes(b"no picture")

    report = segment_files([tmp_path / "in", tmp_path / "missing.dcm"], segmenter(), tmp_path / "out")

    found = by_name(report)
    assert {name: found[name] for name in without} == without
    assert {result.name for result in report.failed} == {"1_bad", "2_bad", "missing"}
    for name in ("1_bad", "2_bad", "missing"):
        assert f"{name}." in found[name].error
        assert rows_of(tmp_path / "out")[name]["status"] == "failed"
    for name in without:
        for kind in ("masks", "overlays"):
            file = f"{kind}/{name}.png"
            assert (tmp_path / "out" / file).read_bytes() == (tmp_path / "without" / file).read_bytes()


def test_an_error_inside_the_network_is_the_row_s_error(
    write_dicom: WriteDicom, segmenter: MakeSegmenter, make_backend: MakeBackend, tmp_path: Path
) -> None:
    def fragile(images: Images) -> Probabilities:
        if backend.calls == 2:
            msg = f"can't work on {PATIENT[0]}"
            raise RuntimeError(msg)
        return images[:, 0]

    backend = make_backend(SETTINGS, answer=fragile)
    for number in range(3):
        write_dicom(tmp_path / "in" / f"{number}.dcm")

    report = segment_files([tmp_path / "in"], segmenter(backend), tmp_path / "out")

    (failed,) = report.failed
    assert failed.name == "1"
    assert "unexpected RuntimeError in test_batch.py" in failed.error
    assert PATIENT[0] not in failed.error


def test_a_second_run_does_only_what_is_missing(
    write_dicom: WriteDicom, segmenter: MakeSegmenter, bright: StandIn, tmp_path: Path
) -> None:
    for number in range(3):
        write_dicom(tmp_path / "in" / f"{number}.dcm")
    out = tmp_path / "out"
    first = segment_files([tmp_path / "in"], segmenter(bright), out)
    (out / "seg" / "1.dcm").unlink()
    write_dicom(tmp_path / "in" / "3.dcm")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}

    second = segment_files([tmp_path / "in"], segmenter(bright), out)

    after = {path.relative_to(out).as_posix(): path.stat().st_mtime_ns for path in before}
    changed = {name for name, time in after.items() if time != before[out / name]}
    assert (first.n_reused, second.n_reused) == (0, 2)
    assert bright.calls == 3 + 2
    assert changed == {"masks/1.png", "overlays/1.png", "results.csv", "results.json"}
    assert (out / "seg" / "1.dcm").is_file()
    assert list(rows_of(out)) == ["0", "1", "2", "3"]


def test_a_file_that_failed_is_tried_again(segmenter: MakeSegmenter, tmp_path: Path) -> None:
    film = tmp_path / "in" / "film.png"
    film.parent.mkdir()
    film.write_bytes(b"half a picture")
    first = segment_files([film], segmenter(), tmp_path / "out")
    write_film(film)

    second = segment_files([film], segmenter(), tmp_path / "out")

    assert [report.results[0].status for report in (first, second)] == ["failed", "segmented"]


def test_changed_pixels_other_weights_and_other_options_are_computed_anew(
    write_dicom: WriteDicom, segmenter: MakeSegmenter, bright: StandIn, tmp_path: Path
) -> None:
    film, out = tmp_path / "film.dcm", tmp_path / "out"
    write_dicom(film)
    segment_files([film], segmenter(bright), out)

    write_dicom(film, pixels(mass_row=60))
    moved = segment_files([film], segmenter(bright), out).results[0].masses[0]
    segment_files([film], segmenter(bright, weights="b2"), out)
    segment_files([film], segmenter(bright, weights="b2"), out, options=Options(viewer_geometry=True))
    matching = replace(SETTINGS, reference_quantiles=(0.0, 0.5, 1.0))
    matched = replace(segmenter(bright, weights="b2"), preprocessing=matching)
    segment_files([film], matched, out, options=Options(viewer_geometry=True))

    assert bright.calls == 5
    assert moved.box[0] < 70
    assert "FrameOfReferenceUID" in dcmread(out / "seg/film.dcm")


def test_what_was_let_through_once_is_refused_without_the_option(
    write_dicom_film: WriteDicom, segmenter: MakeSegmenter, tmp_path: Path
) -> None:
    film = write_dicom_film(tmp_path / "film.dcm", pixels(), PresentationIntentType="FOR PROCESSING")

    allowed = segment_files([film], segmenter(), tmp_path / "out", options=Options(allow_for_processing=True))
    refused = segment_files([film], segmenter(), tmp_path / "out")

    assert [report.results[0].status for report in (allowed, refused)] == ["segmented", "failed"]


def test_results_of_other_weights_are_counted(segmenter: MakeSegmenter, tmp_path: Path) -> None:
    segment_files([write_film(tmp_path / "a.png")], segmenter(weights="a1"), tmp_path / "out")

    report = segment_files([write_film(tmp_path / "b.png")], segmenter(weights="b2"), tmp_path / "out")

    assert report.n_of_other_weights == 1
    assert [row["weights_sha256"][:2] for row in rows_of(tmp_path / "out").values()] == ["a1", "b2"]


def test_what_no_longer_belongs_to_a_result_is_removed(
    write_dicom: WriteDicom, segmenter: MakeSegmenter, tmp_path: Path
) -> None:
    film, out = tmp_path / "film.dcm", tmp_path / "out"
    write_dicom(film)
    segment_files([film], segmenter(), out)
    film.write_bytes(film.read_bytes()[:2000])

    segment_files([film], segmenter(), out)

    left = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert left == {"records/film.json", "results.csv", "results.json", "written-by-aunet-segment.txt"}


def test_a_run_that_was_cut_off_goes_on_where_it_was(segmenter: MakeSegmenter, bright: StandIn, tmp_path: Path) -> None:
    for number in range(12):
        write_film(tmp_path / "in" / f"{number:02}.png")
    out = tmp_path / "out"

    def cut_off(done: int, _: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment_files([tmp_path / "in"], segmenter(bright), out, on_progress=cut_off)
    calls_before = bright.calls
    report = segment_files([tmp_path / "in"], segmenter(bright), out)

    assert 3 <= report.n_reused <= calls_before < 12
    assert bright.calls == calls_before + 12 - report.n_reused
    assert len(rows_of(out)) == 12


def test_no_more_than_a_handful_of_images_are_held_at_once(
    segmenter: MakeSegmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        write_film(tmp_path / "in" / f"{number:02}.png")
    started, lock, ahead = [0], threading.Lock(), []

    def counted(path: Path, *, allow_for_processing: bool = False) -> Mammogram:
        with lock:
            started[0] += 1
        return read_mammogram(path, allow_for_processing=allow_for_processing)

    monkeypatch.setattr(batch, "read_mammogram", counted)

    def on_progress(done: int, _: int) -> None:
        ahead.append(started[0] - done)

    segment_files([tmp_path / "in"], segmenter(), tmp_path / "out", options=Options(readers=2), on_progress=on_progress)

    assert len(ahead) == 30
    assert 1 <= max(ahead) <= 5


def test_reading_computing_and_writing_overlap(
    segmenter: MakeSegmenter, make_backend: MakeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        write_film(tmp_path / "in" / f"{number}.png")
    third_is_read, second_is_computed = threading.Event(), threading.Event()
    seen: dict[str, bool] = {}

    def wait(images: Images) -> Probabilities:
        if backend.calls == 1:
            seen["reading while computing"] = third_is_read.wait(timeout=20)
        if backend.calls == 2:
            second_is_computed.set()
        return images[:, 0]

    backend = make_backend(SETTINGS, answer=wait)

    def read(path: Path, *, allow_for_processing: bool = False) -> Mammogram:
        if path.name == "2.png":
            third_is_read.set()
        return read_mammogram(path, allow_for_processing=allow_for_processing)

    def write(path: Path, pixels: np.ndarray) -> None:
        if path.parts[-2:] == ("masks", "0.png"):
            seen["computing while writing"] = second_is_computed.wait(timeout=20)
        write_png(path, pixels)

    monkeypatch.setattr(batch, "read_mammogram", read)
    monkeypatch.setattr(batch, "write_png", write)

    segment_files([tmp_path / "in"], segmenter(backend), tmp_path / "out")

    assert seen == {"reading while computing": True, "computing while writing": True}


def test_the_segments_are_numbered_as_the_masses_in_the_row(
    write_dicom: WriteDicom, segmenter: MakeSegmenter, tmp_path: Path
) -> None:
    image = pixels(mass_row=120)
    image[60:80, 10:26] = 4000
    film = write_dicom(tmp_path / "film.dcm", image)

    (result,) = segment_files([film], segmenter(), tmp_path / "out").results

    seg = dcmread(tmp_path / "out" / result.seg)
    bits = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8), bitorder="little")[: 2 * 200 * 150]
    assert [
        groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        for groups in seg.PerFrameFunctionalGroupsSequence
    ] == [1, 2]
    for frame, mass in zip(bits.reshape(2, 200, 150), result.masses, strict=True):
        rows, columns = np.nonzero(frame)
        assert (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1) == mass.box
        assert frame.sum() == mass.area_px


def test_for_processing_is_refused_and_an_option_lets_it_through(
    write_dicom: WriteDicom, segmenter: MakeSegmenter, tmp_path: Path
) -> None:
    film = write_dicom(tmp_path / "film.dcm")
    dataset = dcmread(film)
    dataset.PresentationIntentType = "FOR PROCESSING"
    dataset.save_as(film)

    refused, let_through = (
        segment_files([film], segmenter(), tmp_path / "out", options=Options(allow_for_processing=allowed)).results[0]
        for allowed in (False, True)
    )

    assert "FOR PROCESSING" in refused.error
    assert let_through.status == "segmented"
    assert any("FOR PROCESSING" in note for note in let_through.notes)


def test_progress_counts_every_input(segmenter: MakeSegmenter, tmp_path: Path) -> None:
    write_film(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_bytes(b"")
    seen: list[tuple[int, int]] = []

    segment_files([tmp_path / "in"], segmenter(), tmp_path / "out", on_progress=lambda *both: seen.append(both))

    assert seen == [(1, 2), (2, 2)]


def test_files_that_differ_in_their_ending_only_don_t_mix(
    write_dicom: WriteDicom, segmenter: MakeSegmenter, tmp_path: Path
) -> None:
    write_film(tmp_path / "in" / "film.png", pixels(mass_row=60))
    write_dicom(tmp_path / "in" / "film.dcm", pixels(mass_row=110))

    report = segment_files([tmp_path / "in"], segmenter(), tmp_path / "out")

    boxes = {result.input.rsplit(".")[-1]: result.masses[0].box[0] for result in report.results}
    assert len({result.mask for result in report.results}) == 2
    assert boxes["png"] < 70
    assert boxes["dcm"] > 100


def test_results_of_former_runs_stay_in_the_table(segmenter: MakeSegmenter, tmp_path: Path) -> None:
    segment_files([write_film(tmp_path / "a.png")], segmenter(), tmp_path / "out")

    report = segment_files([write_film(tmp_path / "b.png")], segmenter(), tmp_path / "out")

    assert len(report.results) == 1
    assert list(rows_of(tmp_path / "out")) == ["a", "b"]


def test_a_moved_folder_needs_no_second_run(segmenter: MakeSegmenter, tmp_path: Path) -> None:
    write_film(tmp_path / "in" / "a.png")
    segment_files([tmp_path / "in"], segmenter(), tmp_path / "out")
    (tmp_path / "in").rename(tmp_path / "elsewhere")

    report = segment_files([tmp_path / "elsewhere"], segmenter(), tmp_path / "out")

    assert report.n_reused == 1
    assert [row["input"] for row in rows_of(tmp_path / "out").values()] == [str(tmp_path / "elsewhere" / "a.png")]


def test_no_patient_data_leave_the_image_but_in_the_seg(
    write_dicom: WriteDicom, segmenter: MakeSegmenter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    write_dicom(tmp_path / "in" / "good.dcm")
    cut = write_dicom(tmp_path / "in" / "cut.dcm")
    cut.write_bytes(cut.read_bytes()[:4000])
    content = (tmp_path / "in" / "good.dcm").read_bytes()
    (tmp_path / "in" / "bad_date.dcm").write_bytes(content.replace(b"19390517", b"1939-517"))

    segment_files([tmp_path / "in"], segmenter(), tmp_path / "out")

    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    said = "".join(path.read_text() for path in files if path.suffix in {".json", ".csv"})
    said += "".join(record.getMessage() for record in caplog.records) + " ".join(map(str, files))
    assert "good" in said
    assert not [value for value in (*PATIENT, "1939-517", "Vonderhofen", "Xaviera") if value in said]
    assert PATIENT[0].encode() in (tmp_path / "out" / "seg" / "good.dcm").read_bytes()


def test_a_source_that_no_seg_can_refer_to_keeps_its_mask_and_says_so(
    write_dicom: WriteDicom, segmenter: MakeSegmenter, tmp_path: Path
) -> None:
    film = write_dicom(tmp_path / "film.dcm")
    dataset = dcmread(film)
    del dataset.StudyInstanceUID
    dataset.save_as(film)

    (result,) = segment_files([film], segmenter(), tmp_path / "out").results

    assert result.status == "failed"
    assert "StudyInstanceUID" in result.error
    assert len(result.masses) == 1
    assert (tmp_path / "out" / result.mask).is_file()


def test_a_network_for_patches_is_refused(segmenter: MakeSegmenter, make_backend: MakeBackend, tmp_path: Path) -> None:
    backend = make_backend(Preprocessing(rows=64, columns=48, channels=1, patch_margin=0.2))

    with pytest.raises(CheckpointError, match="patches"):
        segment_files([write_film(tmp_path / "film.png")], segmenter(backend), tmp_path / "out")


def test_an_empty_folder_is_an_error(segmenter: MakeSegmenter, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()

    with pytest.raises(ValueError, match="no images at"):
        segment_files([tmp_path / "in"], segmenter(), tmp_path / "out")


def test_results_that_can_t_be_written_are_an_error(segmenter: MakeSegmenter, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")

    with pytest.raises(WriteError, match="can't be written"):
        segment_files([write_film(tmp_path / "film.png")], segmenter(), tmp_path / "out")


def test_passed_over_files_are_in_the_document(segmenter: MakeSegmenter, tmp_path: Path) -> None:
    write_film(tmp_path / "in" / "film.png")
    (tmp_path / "in" / "cases.csv").write_text("image,mask\n")

    segment_files([tmp_path / "in"], segmenter(), tmp_path / "out")

    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [Path(entry["path"]).name for entry in document["passed_over"]] == ["cases.csv"]


def test_what_is_no_file_fails_and_is_not_waited_for(segmenter: MakeSegmenter, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")

    report = segment_files([tmp_path / "pipe.png", write_film(tmp_path / "film.png")], segmenter(), tmp_path / "out")

    assert [result.status for result in report.results] == ["failed", "segmented"]
    assert report.results[0].error == f"{tmp_path / 'pipe.png'}: a pipe, a device or a folder; give a file"


def test_the_same_name_typed_in_two_folders_means_two_films(
    segmenter: MakeSegmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    for day, mass_row in (("monday", 60), ("tuesday", 110)):
        write_film(tmp_path / day / "IM1.png", pixels(mass_row=mass_row))
        monkeypatch.chdir(tmp_path / day)
        segment_files([Path()], segmenter(), out)

    rows = rows_of(out)

    assert [row["input"] for row in rows.values()] == ["IM1.png", "IM1.png"]
    assert [int(row["box"].split()[0]) < 100 for row in rows.values()] == [True, False]


def test_two_runs_at_a_time_end_in_one_table(segmenter: MakeSegmenter, tmp_path: Path) -> None:
    other = segmenter()

    def start_another(done: int, _: int) -> None:
        if done == 1:
            segment_files([write_film(tmp_path / "b.png")], other, tmp_path / "out")

    segment_files([write_film(tmp_path / "a.png")], segmenter(), tmp_path / "out", on_progress=start_another)

    assert list(rows_of(tmp_path / "out")) == ["a", "b"]


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text there")
def test_a_name_that_is_no_text_stops_nothing(segmenter: MakeSegmenter, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_film(tmp_path / "in" / os.fsdecode(b"b\xfcld.png"))
    (tmp_path / "in" / os.fsdecode(b"\xfcbel.png")).write_text("no picture")
    (tmp_path / "in" / os.fsdecode(b"\xfcber.txt")).write_text("no picture")

    report = segment_files([tmp_path / "in"], segmenter(), tmp_path / "out")
    again = segment_files([tmp_path / "in"], segmenter(), tmp_path / "out")

    bad, good = rows_of(tmp_path / "out").values()
    assert good["input"] == f"{tmp_path}/in/b\\udcfcld.png"
    assert (tmp_path / "out" / good["mask"]).is_file()
    assert bad["error"].startswith(f"{tmp_path}/in/\\udcfcbel.png: neither")
    assert [file.typed for file in report.passed_over] == [f"{tmp_path}/in/\\udcfcber.txt"]
    assert again.n_reused == 1


def test_masks_of_the_user_s_own_are_not_written_over(segmenter: MakeSegmenter, tmp_path: Path) -> None:
    """The layout of a data set: a folder with `images` and `masks`."""
    films = [write_film(tmp_path / "mine" / "images" / "a.png"), tmp_path / "mine" / "images" / "b.png"]
    films[1].write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    masks = [write_film(tmp_path / "mine" / "masks" / name) for name in ("a.png", "b.png")]
    drawn = [mask.read_bytes() for mask in masks]

    with pytest.raises(WriteError, match=r"holds masks that aunet segment did not write.*name another folder"):
        segment_files([tmp_path / "mine" / "images"], segmenter(), tmp_path / "mine")

    assert [mask.read_bytes() for mask in masks] == drawn
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["images", "masks"]


def test_results_may_lie_beside_the_images_and_are_not_segmented_in_turn(
    segmenter: MakeSegmenter, tmp_path: Path
) -> None:
    write_film(tmp_path / "film.png")

    first = segment_files([tmp_path], segmenter(), tmp_path)
    again = segment_files([tmp_path], segmenter(), tmp_path)

    assert (len(first.results), len(again.results), again.n_reused) == (1, 1, 1)


def test_a_mask_is_no_mammogram(segmenter: MakeSegmenter, write_dicom: WriteDicom, tmp_path: Path) -> None:
    mask = np.where(pixels() > 3000, 255, 0).astype(np.uint16)

    report = segment_files(
        [write_film(tmp_path / "mask.png", mask), write_dicom(tmp_path / "mask.dcm", mask)],
        segmenter(),
        tmp_path / "out",
    )

    assert [result.status for result in report.results] == ["failed", "failed"]
    assert all("every pixel is 0 or 255, so it is a mask" in result.error for result in report.results)


def test_an_input_that_can_t_be_read_now_keeps_what_was_found_in_it(segmenter: MakeSegmenter, tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.png")
    (found,) = segment_files([film], segmenter(), tmp_path / "out").results
    film.rename(tmp_path / "away.png")

    (now,) = segment_files([film], segmenter(), tmp_path / "out").results

    assert now.status == "failed"
    assert read_records(tmp_path / "out") == {"film": found}
    assert found.is_complete_in(tmp_path / "out")


def test_a_path_mistyped_once_is_not_in_the_table_for_ever(segmenter: MakeSegmenter, tmp_path: Path) -> None:
    first = segment_files([tmp_path / "flim.png"], segmenter(), tmp_path / "out")
    assert list(rows_of(tmp_path / "out")) == ["flim"]

    segment_files([write_film(tmp_path / "film.png")], segmenter(), tmp_path / "out")

    assert first.results[0].status == "failed"
    assert list(rows_of(tmp_path / "out")) == ["film"]


def test_a_copy_has_results_of_its_own(segmenter: MakeSegmenter, tmp_path: Path) -> None:
    first = write_film(tmp_path / "a" / "film.png")
    copy = write_film(tmp_path / "b" / "film.png")

    for film in (first, copy):
        segment_files([film], segmenter(), tmp_path / "out")

    assert {row["input"] for row in rows_of(tmp_path / "out").values()} == {str(first), str(copy)}


def test_names_that_no_file_system_takes_stop_nothing(segmenter: MakeSegmenter, tmp_path: Path) -> None:
    long = write_film(tmp_path / "in" / f"{'l' * 251}.png")
    write_film(tmp_path / "in" / "x.json" / "a.png")
    write_film(tmp_path / "in" / "x.png" / "a.png", pixels(mass_row=60))
    write_film(tmp_path / "in" / "z.png")

    report = segment_files([tmp_path / "in"], segmenter(), tmp_path / "out")
    again = segment_files([tmp_path / "in"], segmenter(), tmp_path / "out")

    assert long.name in {Path(result.input).name for result in report.results}
    assert [result.status for result in report.results] == ["segmented"] * 4
    assert again.n_reused == 4


def test_without_room_for_results_the_run_ends_and_blames_no_input(
    segmenter: MakeSegmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(batch, "write_png", no_room)

    with pytest.raises(WriteError, match=f"{tmp_path / 'out'}: results can't be written .No space left"):
        segment_files([write_film(tmp_path / "film.png")], segmenter(), tmp_path / "out")

    monkeypatch.undo()
    (result,) = segment_files([tmp_path / "film.png"], segmenter(), tmp_path / "out").results
    assert result.status == "segmented"


def test_where_there_are_no_images_it_says_what_was_passed_over(segmenter: MakeSegmenter, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "films").symlink_to(tmp_path)

    with pytest.raises(ValueError, match="films: a link to a folder; give it by its name"):
        segment_files([tmp_path / "in"], segmenter(), tmp_path / "out")

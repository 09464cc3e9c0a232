import csv
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aunet.datasets import inspection
from aunet.datasets.folder import read_folder
from aunet.datasets.inspection import Inspection, inspect_pixels
from aunet.datasets.summary import SideSummary, summarise
from aunet.io.files import read_sample
from aunet.sample import Mammogram, Mask, Sample

ROWS, COLUMNS = 40, 30


def breast(seed: int) -> np.ndarray:
    """16 bit: bright noise on the left half, background on the right."""
    pixels = np.zeros((ROWS, COLUMNS), np.uint16)
    pixels[:, : COLUMNS // 2] = np.random.default_rng(seed).integers(20_000, 60_000, (ROWS, COLUMNS // 2))
    return pixels


def mask(*, column: int = 2, value: int = 255, size: int = 4) -> np.ndarray:
    pixels = np.zeros((ROWS, COLUMNS), np.uint8)
    pixels[10 : 10 + size, column : column + size] = value
    return pixels


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def folder(root: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """A sound folder with one patient, image and mask for each row, in the order a, b, c ..."""
    columns = list(dict.fromkeys(["image", "mask", "patient_id", *(name for one in rows for name in one)]))
    root.mkdir(parents=True, exist_ok=True)
    with (root / "cases.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        for seed, cells in enumerate(rows):
            name = "abcdefgh"[seed]
            save(root / f"{name}.png", breast(seed))
            save(root / "masks" / f"{name}.png", mask())
            writer.writerow({"image": f"{name}.png", "mask": f"masks/{name}.png", "patient_id": name, **cells})
    return root


def inspected(root: Path) -> Inspection:
    return inspect_pixels(read_folder(root))


def verdict(result: Inspection) -> tuple[str, str]:
    one = result.dataset.ledger.rows[0]
    return one.status, one.reason


def test_facts_of_a_sound_image_are_those_of_its_pixels(tmp_path: Path) -> None:
    result = inspected(folder(tmp_path, [{"spacing_mm": "0.5 0.25", "laterality": "L", "view": "CC"}]))

    fact = result.images[0]
    assert verdict(result) == ("read", "")
    assert (fact.case, fact.shape, fact.bits_stored) == ("a", (ROWS, COLUMNS), 16)
    assert (fact.area_px, fact.area_mm2) == (16, 2.0)
    assert fact.area_share == pytest.approx(16 / 1200)
    assert (fact.laterality, fact.view) == ("L", "CC")


def test_a_constant_image_is_refused(tmp_path: Path) -> None:
    root = folder(tmp_path, [{}, {}])
    save(root / "a.png", np.full((ROWS, COLUMNS), 7, np.uint16))

    result = inspected(root)

    assert verdict(result)[0] == "refused"
    assert "constant" in verdict(result)[1]
    assert [sample.case for sample in result.dataset.samples] == ["b"]


def test_a_picture_cut_off_is_refused(tmp_path: Path) -> None:
    root = folder(tmp_path, [{}, {}])
    whole = (root / "a.png").read_bytes()
    (root / "a.png").write_bytes(whole[: len(whole) // 2])

    result = inspected(root)

    assert verdict(result)[0] == "refused"
    assert "a: the picture is damaged" in verdict(result)[1]


def test_a_grey_mask_is_repaired(tmp_path: Path) -> None:
    root = folder(tmp_path, [{}])
    grey = mask()
    grey[10, 2] = 200
    grey[13, 5] = 20
    save(root / "masks" / "a.png", grey)

    result = inspected(root)

    assert verdict(result)[0] == "repaired"
    assert result.images[0].area_px == 15


@pytest.mark.parametrize(
    ("cells", "status", "said"),
    [
        ({}, "repaired", "the mask is empty; counted as an image without a mass"),
        ({"n_masses": "0"}, "read", ""),
        ({"n_masses": "1"}, "refused", "the mask is empty, yet n_masses is 1"),
    ],
)
def test_an_empty_mask_is_judged_by_what_the_table_says(
    tmp_path: Path, cells: dict[str, str], status: str, said: str
) -> None:
    root = folder(tmp_path, [cells])
    save(root / "masks" / "a.png", mask(value=0))

    found, reason = verdict(inspected(root))

    assert found == status
    assert reason.startswith(said)
    assert bool(reason) == bool(said)


def test_a_mask_with_a_mass_contradicts_a_table_without_one(tmp_path: Path) -> None:
    result = inspected(folder(tmp_path, [{"n_masses": "0"}]))

    assert verdict(result) == ("refused", "the mask shows a mass, yet n_masses is 0; correct one of them")


def test_an_inverted_mask_is_refused(tmp_path: Path) -> None:
    root = folder(tmp_path, [{}])
    save(root / "masks" / "a.png", 255 - mask())

    found, reason = verdict(inspected(root))

    assert found == "refused"
    assert "the mask covers 99% of the image" in reason


@pytest.mark.parametrize(
    ("column", "status", "share"), [(2, "read", ""), (13, "read", "50%"), (14, "read", "75%"), (20, "refused", "100%")]
)
def test_a_mask_outside_the_breast_is_remarked_and_a_stray_one_refused(
    tmp_path: Path, column: int, status: str, share: str
) -> None:
    root = folder(tmp_path, [{}])
    save(root / "masks" / "a.png", mask(column=column))

    found, reason = verdict(inspected(root))

    assert found == status
    assert reason.startswith(f"{share} of the mask lies on the background" if share else "")
    assert bool(reason) == bool(share)


def test_bright_letters_do_not_turn_the_breast_into_background(tmp_path: Path) -> None:
    root = folder(tmp_path, [{}])
    dim = breast(0) // 60
    dim[0, -3:] = 65_535
    save(root / "a.png", dim)

    assert verdict(inspected(root)) == ("read", "")


def test_a_mask_of_another_size_is_a_repair_and_has_the_images_size_afterwards(tmp_path: Path) -> None:
    root = folder(tmp_path, [{}])
    save(root / "masks" / "a.png", mask().repeat(2, axis=0).repeat(2, axis=1))

    result = inspected(root)

    assert verdict(result) == ("repaired", "the mask has 80 x 60 pixels; resized to 40 x 30 of the mammogram")
    assert result.images[0].area_px == 16


def test_one_film_under_two_names_is_refused_once(tmp_path: Path) -> None:
    root = folder(tmp_path, [{}, {}, {}])
    Image.open(root / "a.png").save(root / "c.png", compress_level=1)

    rows = inspected(root).dataset.ledger.rows

    assert [one.status for one in rows] == ["read", "read", "refused"]
    assert rows[2].reason == "has the very pixels of a (line 2); keep one of them"


def test_rows_refused_before_stay_refused_and_are_not_read(tmp_path: Path) -> None:
    root = folder(tmp_path, [{"view": "XCCL"}, {"split": "Train"}])

    result = inspected(root)

    assert [one.status for one in result.dataset.ledger.rows] == ["refused", "repaired"]
    assert [fact.case for fact in result.images] == ["b"]


def test_no_more_images_are_open_than_there_are_readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = read_folder(folder(tmp_path, [{}] * 8))
    lock, both_open = threading.Lock(), threading.Event()
    is_open: list[str] = []
    most = 0

    def read_slowly(sample: Sample, *, allow_for_processing: bool) -> tuple[Mammogram, Mask]:
        nonlocal most
        with lock:
            is_open.append(sample.case)
            most = max(most, len(is_open))
            if most == 2:
                both_open.set()
        both_open.wait(5)
        result = read_sample(sample, allow_for_processing=allow_for_processing)
        with lock:
            is_open.remove(sample.case)
        return result

    monkeypatch.setattr(inspection, "read_sample", read_slowly)
    seen: list[tuple[int, int]] = []
    result = inspect_pixels(dataset, readers=2, on_progress=lambda done, total: seen.append((done, total)))

    assert most == 2
    assert seen == [(done, 8) for done in range(1, 9)]
    assert [fact.case for fact in result.images] == list("abcdefgh")


def test_the_summary_counts_what_can_be_used(tmp_path: Path) -> None:
    properties = {"view": "CC", "mass_shape": "OVAL;ROUND"}
    root = folder(
        tmp_path,
        [
            {"split": "train", **properties},
            {"split": "train", "n_masses": "0"},
            {"split": "test", "mass_shape": "OVAL;nan", "spacing_mm": "0.5"},
            {"split": "fold"},
        ],
    )
    save(root / "masks" / "b.png", mask(value=0))
    save(root / "masks" / "c.png", mask(size=2))
    result = inspected(root)

    summary = summarise(result.dataset, result.images)

    assert (summary.images, summary.patients) == (3, 3)
    assert summary.splits == {"train": SideSummary(2, 2, 1), "test": SideSummary(1, 1, 0)}
    assert summary.views == {"unknown": 2, "CC": 1}
    assert summary.properties == {"mass_shape": {"OVAL": 2, "ROUND": 1, "unknown": 1}}
    assert summary.sizes == {"40 x 30": 3}
    assert summary.bits_stored == {"16": 3}
    assert summary.areas is not None
    assert (summary.areas.px[0], summary.areas.px[3], summary.areas.px[-1]) == (4, 10, 16)
    assert (summary.areas.n_mm2, summary.areas.mm2) == (1, (1.0,) * 7)


def test_the_summary_counts_the_laterality_of_the_file_before_that_of_the_table(tmp_path: Path) -> None:
    result = inspected(folder(tmp_path, [{"laterality": "L"}]))

    in_file = replace(result.images[0], laterality="R")

    assert summarise(result.dataset, [in_file]).lateralities == {"R": 1}
    assert summarise(result.dataset).lateralities == {"L": 1}


def test_the_summary_of_unread_pixels_says_nothing_of_them(tmp_path: Path) -> None:
    summary = summarise(read_folder(folder(tmp_path, [{"view": "CC"}])))

    assert summary.areas is None
    assert summary.sizes == {}
    assert summary.splits == {"(no split)": SideSummary(1, 1, None)}


@pytest.mark.data
@pytest.mark.slow
def test_of_the_real_set_nothing_is_refused_and_ten_masks_are_remarked(prepared_cbis_ddsm: Path) -> None:
    result = inspected(prepared_cbis_ddsm)

    remarks = [one.case for one in result.dataset.ledger.rows if "outside the breast" in one.reason]
    summary = summarise(result.dataset, result.images)
    assert result.dataset.ledger.counts["refused"] == 0
    assert len(result.dataset.samples) == 1592
    # The set's own description: 8 train and 2 test images with more than a tenth of the mass on background.
    assert sorted(case.split("/")[1] for case in remarks) == ["test"] * 2 + ["train"] * 8
    assert summary.areas is not None
    assert summary.areas.px[0] == 13
    assert summary.sizes == {"256 x 256": 1592}

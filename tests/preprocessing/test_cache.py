import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from jaxtyping import UInt8
from PIL import Image as Picture

from aunet.errors import ReadError, WriteError
from aunet.io.aside import write_text
from aunet.io.files import read_sample
from aunet.preprocessing import cache as cache_module
from aunet.preprocessing.cache import PreparedCache, PreparedSample
from aunet.preprocessing.pipeline import Preprocessing
from aunet.sample import Image, Mask2D, Sample

Draw = Callable[..., tuple[Image, Mask2D]]

SMALL = Preprocessing(rows=48, columns=32)
AN_HOUR_AGO = time.time() - 3600
FORK = multiprocessing.get_context("fork")


def age(path: Path) -> None:
    """Let a file look as if it had not been changed just now."""
    os.utime(path, (AN_HOUR_AGO, AN_HOUR_AGO))


@pytest.fixture
def samples(tmp_path: Path, film: Draw) -> list[Sample]:
    made = []
    for index in range(4):
        image, _ = film(120 + index, 80, chest_wall="LR"[index % 2])
        mask = np.zeros(image.shape, dtype=np.uint8)
        mask[45:60, 30:50] = 255
        image_path, mask_path = tmp_path / f"{index}.png", tmp_path / f"{index}_mask.png"
        Picture.fromarray(image.astype(np.uint16)).save(image_path)
        Picture.fromarray(mask).save(mask_path)
        age(image_path)
        age(mask_path)
        made.append(Sample(str(index), image_path, (mask_path,), patient_id=str(index), spacing_mm=(0.1, 0.2)))
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The cases that were read from their files, in order."""
    done: list[str] = []

    def counted(sample: Sample, *, allow_for_processing: bool = False) -> object:
        done.append(sample.case)
        return read_sample(sample, allow_for_processing=allow_for_processing)

    monkeypatch.setattr(cache_module, "read_sample", counted)
    return done


def assert_same(found: PreparedSample, expected: PreparedSample) -> None:
    assert np.array_equal(found.grey, expected.grey)
    assert np.array_equal(found.image, expected.image)
    assert np.array_equal(found.mask, expected.mask)
    assert replace(found, grey=expected.grey, image=expected.image, mask=expected.mask) == expected


def test_second_run_reads_no_file(samples: list[Sample], folder: Path, reads: list[str]) -> None:
    first = [PreparedCache(folder, SMALL).load(sample) for sample in samples]

    second = [PreparedCache(folder, SMALL).load(sample) for sample in samples]

    assert reads == ["0", "1", "2", "3"]
    for found, expected in zip(second, first, strict=True):
        assert_same(found, expected)


def test_second_run_does_not_even_open_the_sources(
    samples: list[Sample], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = PreparedCache(folder, SMALL).load(samples[0])
    monkeypatch.setattr(cache_module, "read_sample", None)
    monkeypatch.setattr(cache_module, "digest", None)

    found = PreparedCache(folder, SMALL).load(samples[0])

    assert_same(found, expected)


def test_no_folder_prepares_anew(samples: list[Sample], reads: list[str]) -> None:
    cache = PreparedCache(None, SMALL)

    cache.load(samples[0])
    cache.load(samples[0])

    assert reads == ["0", "0"]


def test_prepared_sample_holds_grid_mask_and_spacing(samples: list[Sample], folder: Path) -> None:
    prepared = PreparedCache(folder, SMALL).load(samples[1])

    assert prepared.image.shape == (3, 48, 32)
    assert prepared.grid.mirror.active
    assert prepared.mask.any()
    assert prepared.spacing_mm == prepared.grid.model_spacing_mm((0.1, 0.2))


def test_grey_and_rgb_share_an_entry(samples: list[Sample], folder: Path, reads: list[str]) -> None:
    rgb = PreparedCache(folder, SMALL).load(samples[0])

    grey = PreparedCache(folder, replace(SMALL, channels=1)).load(samples[0])

    assert reads == ["0"]
    assert grey.image.shape == (1, 48, 32)
    assert np.array_equal(grey.image[0], rgb.image[2])


def test_statistics_of_channels_are_applied_to_what_is_kept_without_them(
    samples: list[Sample], folder: Path, reads: list[str]
) -> None:
    plain = PreparedCache(folder, SMALL).load(samples[0])
    settings = replace(SMALL, channel_mean=(0.5, 0.25, 0.0), channel_std=(0.5, 0.25, 2.0))

    kept, anew = PreparedCache(folder, settings).load(samples[0]), PreparedCache(None, settings).load(samples[0])

    assert reads == ["0", "0"]  # once for the entry, once without a folder
    assert_same(kept, anew)
    assert np.array_equal(kept.grey, plain.image[0])
    assert np.array_equal(kept.image[1], (plain.image[1] - 0.25) / 0.25)


def test_arrays_are_the_callers_own(samples: list[Sample], folder: Path) -> None:
    cache = PreparedCache(folder, SMALL)
    cache.load(samples[0])
    mine = cache.load(samples[0])

    mine.image[:] = 7
    mine.mask[:] = True

    again = cache.load(samples[0])
    assert again.image.max() <= 1
    assert not again.mask.all()


@pytest.mark.parametrize(
    "other",
    [
        replace(SMALL, rows=40),
        replace(SMALL, fit="pad"),
        replace(SMALL, crop=False),
        replace(SMALL, intensity="z_score"),
        replace(SMALL, breast_level=0.05),
    ],
)
def test_other_settings_are_other_entries(
    samples: list[Sample], folder: Path, reads: list[str], other: Preprocessing
) -> None:
    PreparedCache(folder, SMALL).load(samples[0])

    PreparedCache(folder, other).load(samples[0])

    assert reads == ["0", "0"]


def test_content_counts_and_not_the_name(samples: list[Sample], folder: Path, reads: list[str]) -> None:
    PreparedCache(folder, SMALL).load(samples[0])
    moved = samples[0].image_path.rename(samples[0].image_path.with_name("moved.png"))

    PreparedCache(folder, SMALL).load(replace(samples[0], image_path=moved))

    assert reads == ["0"]


def test_changed_image_is_read_again(samples: list[Sample], folder: Path, reads: list[str]) -> None:
    cache = PreparedCache(folder, SMALL)
    before = cache.load(samples[0])
    _blacken_a_part(samples[0].image_path)

    after = cache.load(samples[0])

    assert reads == ["0", "0"]
    assert not np.array_equal(before.image, after.image)


def test_changed_mask_is_read_again(samples: list[Sample], folder: Path, reads: list[str]) -> None:
    cache = PreparedCache(folder, SMALL)
    before = cache.load(samples[0])
    _blacken_a_part(samples[0].mask_paths[0])

    after = cache.load(samples[0])

    assert reads == ["0", "0"]
    assert after.mask.sum() < before.mask.sum()


def _blacken_a_part(path: Path) -> None:
    pixels = np.asarray(Picture.open(path)).copy()
    pixels[45:55, 25:45] = 0
    Picture.fromarray(pixels).save(path)


def test_file_changed_a_moment_ago_is_not_trusted_by_its_time(
    samples: list[Sample], folder: Path, reads: list[str]
) -> None:
    cache, sample = PreparedCache(folder, SMALL), replace(samples[0], mask_paths=())
    path = samples[0].image_path
    now = time.time()
    content, other = path.read_bytes(), samples[2].image_path.read_bytes()
    size = max(len(content), len(other))
    # Bytes after the end of a PNG are ignored, so that both have one size; the clock is coarse, so one time as well.
    path.write_bytes(content.ljust(size, b"\0"))
    os.utime(path, (now, now))
    cache.load(sample)
    path.write_bytes(other.ljust(size, b"\0"))
    os.utime(path, (now, now))

    cache.load(sample)

    assert reads == ["0", "0"]


def test_mask_less_sample_is_another_entry(samples: list[Sample], folder: Path) -> None:
    cache = PreparedCache(folder, SMALL)
    cache.load(samples[0])

    without = cache.load(replace(samples[0], mask_paths=()))

    assert not without.mask.any()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [truncate, change_a_byte, empty, remove])
@pytest.mark.parametrize("ending", ["npy", "json"])
def test_damaged_entry_is_made_again(
    samples: list[Sample], folder: Path, reads: list[str], damage: Callable[[Path], None], ending: str
) -> None:
    expected = PreparedCache(folder, SMALL).load(samples[0])
    damage(next(folder.glob(f"*.{ending}")))

    found = PreparedCache(folder, SMALL).load(samples[0])

    assert_same(found, expected)
    # One byte of the note may change what is not looked at.
    assert reads == ["0", "0"] or (damage is change_a_byte and ending == "json")
    assert_same(PreparedCache(folder, SMALL).load(samples[0]), expected)


def test_entry_truncated_under_a_running_process_is_made_again(
    samples: list[Sample], folder: Path, reads: list[str]
) -> None:
    cache = PreparedCache(folder, SMALL)
    expected = cache.load(samples[0])
    cache.load(samples[0])
    truncate(next(folder.glob("*.npy")))

    found = cache.load(samples[0])

    assert_same(found, expected)
    assert reads == ["0", "0"]


def test_entry_of_another_grid_is_made_again(samples: list[Sample], folder: Path) -> None:
    expected = PreparedCache(folder, SMALL).load(samples[0])
    path = next(folder.glob("*.json"))
    note = json.loads(path.read_text())
    note["grid"]["model_shape"] = [1000, 1000]
    path.write_text(json.dumps(note))

    assert_same(PreparedCache(folder, SMALL).load(samples[0]), expected)


def test_no_file_name_tells_the_case(samples: list[Sample], folder: Path, tmp_path: Path) -> None:
    named = tmp_path / "MRS_DOE.png"
    named.write_bytes(samples[0].image_path.read_bytes())
    age(named)

    PreparedCache(folder, SMALL).load(replace(samples[0], image_path=named))

    assert list(folder.iterdir())
    assert not any("DOE" in path.name or "DOE" in path.read_bytes().decode("latin1") for path in folder.iterdir())


def test_missing_file_is_the_readers_error(samples: list[Sample], folder: Path) -> None:
    with pytest.raises(ReadError, match=r"gone\.png"):
        PreparedCache(folder, SMALL).load(replace(samples[0], image_path=samples[0].image_path.with_name("gone.png")))


def test_full_disk_is_said_so(samples: list[Sample], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)

    with pytest.raises(WriteError, match="No space left on device"):
        PreparedCache(folder, SMALL).load(samples[0])

    assert not list(folder.glob(".*"))


def test_file_that_a_dead_process_left_is_removed_in_the_end(folder: Path) -> None:
    folder.mkdir()
    old, fresh = folder / ".one.part", folder / ".two.part"
    old.touch()
    fresh.touch()
    os.utime(old, (AN_HOUR_AGO - 60, AN_HOUR_AGO - 60))

    PreparedCache(folder, SMALL)

    assert not old.exists()
    assert fresh.exists()


def _load_until_killed(folder: Path, samples: list[Sample], kill_in: str) -> None:
    """Load samples; at the second entry die by signal 9 inside the step named."""
    writes = 0
    save = np.save

    def save_half(file: BinaryIO, array: UInt8[np.ndarray, " n"], *, allow_pickle: bool) -> None:
        nonlocal writes
        writes += 1
        if writes == 2 and kill_in == "array":
            file.write(b"\x93NUMPY half")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        save(file, array, allow_pickle=allow_pickle)

    def write_note(path: Path, text: str) -> None:
        if writes == 2 and kill_in == "before the note" and path.suffix == ".json":
            os.kill(os.getpid(), signal.SIGKILL)
        if writes == 2 and kill_in == "a note not written aside" and path.suffix == ".json":
            path.write_text(text[: len(text) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        write_text(path, text)

    # In this process only, which dies.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "save", save_half)
        patch.setattr(cache_module, "write_text", write_note)
        _load_all(folder, samples)


@pytest.mark.parametrize("kill_in", ["array", "before the note", "a note not written aside"])
def test_kill_9_in_the_middle_of_a_write_leaves_a_sound_cache(
    samples: list[Sample], folder: Path, reads: list[str], kill_in: str
) -> None:
    expected = [PreparedCache(None, SMALL).load(sample) for sample in samples]
    process = FORK.Process(target=_load_until_killed, args=(folder, samples, kill_in))
    process.start()
    process.join(30)
    reads.clear()
    under_their_names = [np.load(path).size for path in folder.glob("*.npy")]

    found = [PreparedCache(folder, SMALL).load(sample) for sample in samples]

    assert process.exitcode == -signal.SIGKILL
    assert under_their_names == [48 * 32 * 5] * (1 if kill_in == "array" else 2)
    assert reads == ["1", "2", "3"]
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


def _load_again_and_again(folder: Path, samples: list[Sample]) -> None:
    while True:
        cache = PreparedCache(folder, SMALL)
        for sample in samples:
            cache.load(sample)
        for path in folder.glob("*.[jn]*"):
            path.unlink(missing_ok=True)


def test_kill_9_at_any_moment_leaves_a_sound_cache(samples: list[Sample], folder: Path) -> None:
    expected = [PreparedCache(None, SMALL).load(sample) for sample in samples]
    rng = np.random.default_rng(0)

    for _ in range(8):
        process = FORK.Process(target=_load_again_and_again, args=(folder, samples))
        process.start()
        time.sleep(float(rng.uniform(0.01, 0.1)))
        process.kill()
        process.join(30)

        for sample, one in zip(samples, expected, strict=True):
            assert_same(PreparedCache(folder, SMALL).load(sample), one)


def _load_all(folder: Path, samples: list[Sample]) -> None:
    for _ in range(5):
        cache = PreparedCache(folder, SMALL)
        for sample in samples:
            cache.load(sample)


def test_processes_writing_the_same_entries_do_not_disturb_one_another(samples: list[Sample], folder: Path) -> None:
    expected = [PreparedCache(None, SMALL).load(sample) for sample in samples]
    processes = [FORK.Process(target=_load_all, args=(folder, samples)) for _ in range(4)]

    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert not list(folder.glob(".*"))
    for sample, one in zip(samples, expected, strict=True):
        assert_same(PreparedCache(folder, SMALL).load(sample), one)

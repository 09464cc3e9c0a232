"""Which files are taken, and what their results are called."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aunet.inference.inputs import Input, find_inputs, name_results
from aunet.inference.results_folder import claim_results_folder

DICOM = bytes(128) + b"DICM"


def touched(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"some bytes")


def names_of(typed: list[str], owners: dict[str, str] | None = None, *, same: tuple[str, ...] = ()) -> list[str]:
    """Names of files in one folder `/data`, typed as `typed`; owners are names with the paths of their files."""
    files = [Input(Path("/data") / name, Path(name)) for name in typed]
    places = {name: Input(Path(path), Path()).place_sha256 for name, path in (owners or {}).items()}
    return list(name_results(files, places, is_same_image=lambda _, name: name in same))


def test_folders_are_searched_to_the_bottom_in_the_order_of_names(tmp_path: Path) -> None:
    touched(tmp_path, "b.png", "a/z.dcm", "a/1.2.840", "c/d/e.tif")

    found = find_inputs([tmp_path])

    assert [file.relative.as_posix() for file in found.files] == ["a/1.2.840", "a/z.dcm", "b.png", "c/d/e.tif"]
    assert found.passed_over == ()


def test_files_that_are_evidently_no_images_are_passed_over_with_a_reason(tmp_path: Path) -> None:
    touched(tmp_path, "cases.csv", "notes.txt", "DICOMDIR", ".hidden.png", "film.png")

    found = find_inputs([tmp_path])

    assert [file.path.name for file in found.files] == ["film.png"]
    assert {file.path.name for file in found.passed_over} == {"cases.csv", "notes.txt", "DICOMDIR", ".hidden.png"}
    assert all(file.reason for file in found.passed_over)


def test_a_dicom_file_is_taken_whatever_its_ending(tmp_path: Path) -> None:
    (tmp_path / "image.txt").write_bytes(DICOM)

    found = find_inputs([tmp_path])

    assert [file.path.name for file in found.files] == ["image.txt"]


def test_a_typed_file_is_always_taken(tmp_path: Path) -> None:
    touched(tmp_path, "notes.txt")

    found = find_inputs([tmp_path / "notes.txt", tmp_path / "missing.dcm"])

    assert [file.relative.as_posix() for file in found.files] == ["notes.txt", "missing.dcm"]


@pytest.mark.parametrize("inside", ["", "out", "deep/out"])
def test_results_are_not_taken_for_inputs_wherever_they_lie(tmp_path: Path, inside: str) -> None:
    claim_results_folder(tmp_path / inside)
    touched(tmp_path / inside, "masks/film.png", "overlays/film.png", "seg/film.dcm", "records/film.json")
    touched(tmp_path, "film.png", "masks of mine/film.png")

    found = find_inputs([tmp_path])

    assert [file.relative.as_posix() for file in found.files] == ["film.png", "masks of mine/film.png"]
    results = {file.path.name for file in found.passed_over if file.reason == "results of aunet segment"}
    assert results == {"masks", "overlays", "seg", "records"}


def test_folders_of_masks_and_records_that_are_the_user_s_own_are_searched(tmp_path: Path) -> None:
    touched(tmp_path, "records/a.png", "masks/b.png")

    assert len(find_inputs([tmp_path]).files) == 2


def test_a_file_typed_twice_is_taken_once(tmp_path: Path) -> None:
    touched(tmp_path, "film.png")

    found = find_inputs([tmp_path / "film.png", tmp_path, tmp_path])

    assert len(found.files) == 1


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    touched(tmp_path, "a/film.png")
    (tmp_path / "a" / "circle").symlink_to(tmp_path)

    found = find_inputs([tmp_path])

    assert len(found.files) == 1
    assert [file.path.name for file in found.passed_over] == ["circle"]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["film.dcm"], ["film"]),
        (["1.2.840.113"], ["1.2.840.113"]),
        (["day1/film.dcm", "day2/film.dcm"], ["day1/film", "day2/film"]),
        (["film.dcm", "film.png"], ["film", "film.png"]),
        (["film.dcm", "film.png", "FILM.PNG"], ["film", "film.png", "data/FILM"]),
    ],
)
def test_names_follow_the_inputs(typed: list[str], expected: list[str]) -> None:
    assert names_of(typed) == expected


def test_no_name_is_too_long_and_none_of_two_that_begin_alike_is_lost() -> None:
    long = "\u4e73" * 84  # 252 bytes, and 256 with .dcm

    names = names_of([f"{long}a.dcm", f"{long}b.dcm", f"{long}/{long}.png", f"{long}.png/x.png"])

    assert len(set(names)) == 4
    assert all(len(f"{part}.json".encode()) <= 255 for name in names for part in name.split("/"))


@pytest.mark.parametrize("ending", ["json", "png", "dcm", "PNG"])
def test_no_folder_of_results_is_called_like_a_file_of_results(ending: str) -> None:
    assert names_of([f"x.{ending}/a.png", f"x.{ending}"]) == [f"x.{ending}_/a", "x" if ending != "json" else "x.json"]


def test_two_folders_with_the_same_files_don_t_mix() -> None:
    files = [Input(Path("/day1/film.dcm"), Path("film.dcm")), Input(Path("/day2/film.dcm"), Path("film.dcm"))]

    found = name_results(files, {}, is_same_image=lambda *_: False)

    assert found == ("film", "film.dcm")


def test_an_input_keeps_its_name_when_others_come_in_between() -> None:
    first = names_of(["film.png"])

    later = names_of(["film.dcm", "film.png"], {first[0]: "/data/film.png"})

    assert first == ["film"]
    assert later == ["film.dcm", "film"]


def test_results_of_another_image_are_not_overwritten() -> None:
    assert names_of(["film.dcm"], {"film": "/elsewhere/film.dcm"}) == ["film.dcm"]


def test_a_moved_image_takes_its_results_along() -> None:
    assert names_of(["film.dcm"], {"film": "/elsewhere/film.dcm"}, same=("film",)) == ["film"]


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "A", "a.dcm", "a.png", "A.DCM", "b"]), min_size=1, max_size=3).map(
            lambda parts: PurePosixPath(*parts).as_posix()
        ),
        unique=True,
        max_size=12,
    )
)
def test_no_two_inputs_share_a_name_and_a_second_run_gives_the_same(typed: list[str]) -> None:
    first = names_of(typed)
    again = names_of(typed, dict(zip(first, [f"/data/{name}" for name in typed], strict=True)))

    assert len({name.casefold() for name in first}) == len(typed)
    assert again == first


def test_links_that_lead_nowhere_or_to_themselves_stop_nothing(tmp_path: Path) -> None:
    touched(tmp_path, "film.png")
    (tmp_path / "notes.txt").symlink_to(tmp_path / "gone.txt")
    (tmp_path / "scan.dcm").symlink_to(tmp_path / "scan.dcm")

    found = find_inputs([tmp_path])

    assert [file.path.name for file in found.files] == ["film.png", "notes.txt", "scan.dcm"]


def test_a_folder_that_can_t_be_listed_is_an_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touched(tmp_path, "closed/film.png", "film.png")
    listed = Path.iterdir

    def iterdir(folder: Path) -> Iterator[Path]:
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)

    found = find_inputs([tmp_path])

    assert [file.relative.as_posix() for file in found.files] == ["closed", "film.png"]


def test_pipes_and_devices_are_no_images(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")

    found = find_inputs([tmp_path])

    assert found.files == ()
    assert [file.reason for file in found.passed_over] == ["neither a file nor a folder"]


def test_a_second_name_of_the_same_file_is_passed_over_with_the_first(tmp_path: Path) -> None:
    touched(tmp_path, "film.png")
    (tmp_path / "again.png").symlink_to(tmp_path / "film.png")

    found = find_inputs([tmp_path])

    assert [file.path.name for file in found.files] == ["again.png"]
    assert [(file.path.name, file.reason) for file in found.passed_over] == [
        ("film.png", f"the same file as {tmp_path / 'again.png'}")
    ]

"""Outlines of OsiriX: read, chosen by name, filled; never another error than ours."""

import plistlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from skimage.draw import polygon2mask

from aunet.errors import ReadError
from aunet.io.contours import Region, fill_regions, is_contours, named_regions, read_regions
from aunet.io.files import count_masses, read_mask, read_reference
from aunet.io.images import write_png
from aunet.preprocessing.cache import PreparedCache
from aunet.preprocessing.pipeline import Preprocessing
from aunet.sample import Sample

Points = Sequence[tuple[float, float]]
SQUARE = ((2.0, 3.0), (2.0, 7.0), (5.0, 7.0), (5.0, 3.0))
SHAPE = (20, 24)


def region(points: Points, name: str = "Mass") -> Region:
    return Region(name, tuple((float(row), float(column)) for row, column in points))


def roi(points: Points, name: str = "Mass") -> dict[str, object]:
    texts = [f"({column:.6f}, {row:.6f})" for row, column in points]
    return {"Name": name, "NumberOfPoints": len(points), "Point_px": texts, "IndexInImage": 0, "Type": 15, "Area": 1.0}


def outlines(path: Path, *rois: object) -> Path:
    document = {"Images": [{"ImageIndex": 0, "NumberOfROIs": len(rois), "ROIs": list(rois)}]}
    path.write_bytes(plistlib.dumps(document))
    return path


def moved(points: Points, rows: float, columns: float) -> list[tuple[float, float]]:
    return [(row + rows, column + columns) for row, column in points]


def test_regions_are_read_as_row_and_column_with_their_names(tmp_path: Path) -> None:
    path = outlines(tmp_path / "a.xml", roi([(1.5, 2.25), (3, 4), (5, 6)]), roi([(7, 8)], "Point 1"))

    mass, mark = read_regions(path)

    assert mass == Region("Mass", ((1.5, 2.25), (3.0, 4.0), (5.0, 6.0)), 3)
    assert mark == Region("Point 1", ((7.0, 8.0),), 1)


def test_a_list_without_regions_has_none_and_fills_nothing(tmp_path: Path) -> None:
    regions = read_regions(outlines(tmp_path / "a.xml"))

    mask = fill_regions(regions, SHAPE)

    assert regions == ()
    assert not mask.pixels.any()


def test_names_are_compared_without_capitals_and_blanks(tmp_path: Path) -> None:
    names = ("Mass", " mass ", "Spiculated Region", "Espiculated  Region", "")
    regions = read_regions(outlines(tmp_path / "a.xml", *[roi(SQUARE, name) for name in names]))

    assert len(named_regions(regions, ("MASS",))) == 2
    assert len(named_regions(regions, ("espiculated region",))) == 1
    assert named_regions(regions, ("Cluster",)) == ()
    assert named_regions(regions, ()) == regions


def test_a_centre_on_a_top_or_left_border_is_inside_and_on_a_bottom_or_right_border_is_not() -> None:
    expected = np.zeros(SHAPE, np.bool_)
    expected[2:5, 3:7] = True

    for points in (SQUARE, SQUARE[::-1], (*SQUARE, SQUARE[0])):
        mask = fill_regions([region(points)], SHAPE)

        np.testing.assert_array_equal(mask.pixels, expected)
        assert mask.notes == ()


@settings(max_examples=100, deadline=None)
@given(
    angles=st.lists(st.floats(0, 6.28), max_size=9, unique=True),
    radii=st.lists(st.floats(1, 14), min_size=12, max_size=12),
)
def test_a_simple_outline_is_filled_as_two_other_programs_fill_it(angles: list[float], radii: list[float]) -> None:
    # A star around its centre crosses itself nowhere as long as no gap between its points spans half a turn.
    turns = np.sort([*angles, 0.3, 2.4, 4.5])
    corners = [(10.137 + r * np.sin(t), 12.291 + r * np.cos(t)) for t, r in zip(turns, radii, strict=False)]
    centres = np.argwhere(np.ones(SHAPE))
    assume(min(distance(centre, corners) for centre in centres) > 1e-6)

    filled = pixels(corners)

    np.testing.assert_array_equal(filled, polygon2mask(SHAPE, np.array(corners)))  # type: ignore[no-untyped-call]  # untyped
    np.testing.assert_array_equal(filled, Outline(corners).contains_points(centres).reshape(SHAPE))


def pixels(points: Points) -> np.ndarray:
    """Of one outline; none where it encloses none, which is an error elsewhere."""
    try:
        return fill_regions([region(points)], SHAPE).pixels
    except ReadError:
        return np.zeros(SHAPE, np.bool_)


def distance(point: np.ndarray, corners: Points) -> float:
    """Of a point to the nearest side."""
    ends = np.array(corners)
    sides = np.roll(ends, -1, axis=0) - ends
    share = np.clip(((point - ends) * sides).sum(1) / np.maximum((sides**2).sum(1), 1e-12), 0, 1)
    return float(np.linalg.norm(ends + share[:, None] * sides - point, axis=1).min())


def turns_around(point: np.ndarray, corners: Points) -> int:
    """How often a closed outline winds around a point, by summing up angles."""
    ends = np.array(corners) - point
    after = np.roll(ends, -1, axis=0)
    angles = np.arctan2(ends[:, 0] * after[:, 1] - ends[:, 1] * after[:, 0], (ends * after).sum(1))
    return round(float(angles.sum()) / (2 * np.pi))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.lists(st.tuples(st.integers(-30, 250), st.integers(-30, 280)), min_size=3, max_size=9))
def test_any_outline_encloses_what_it_winds_around(tenths: list[tuple[int, int]]) -> None:
    corners = [(row / 10 + 0.0313, column / 10 + 0.0471) for row, column in tenths]
    centres = [np.array(centre) for centre in np.ndindex(SHAPE) if distance(np.array(centre), corners) > 1e-6]
    inside = {tuple(centre) for centre in centres if turns_around(centre, corners)}
    assume(inside)

    filled = fill_regions([region(corners)], SHAPE).pixels

    assert {tuple(centre) for centre in centres if filled[tuple(centre)]} == inside


def test_an_outline_that_runs_on_over_its_beginning_has_no_hole() -> None:
    twice = [*SQUARE, *SQUARE]

    assert fill_regions([region(twice)], SHAPE).pixels.sum() == 3 * 4


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(0, 19)] * 4), st.tuples(*[st.integers(0, 23)] * 4))
def test_two_regions_along_one_border_share_no_pixel_and_leave_none_out(
    rows: tuple[int, ...], columns: tuple[int, ...]
) -> None:
    a, b, c, d = zip(rows, columns, strict=True)
    if cross(a, c, b) * cross(a, c, d) > 0:
        # Turned about the middle of the diagonal, so that the other two corners lie on either side of it.
        d = (a[0] + c[0] - d[0], a[1] + c[1] - d[1])
    whole, first, second = (pixels(points) for points in ((a, b, c, d), (a, b, c), (a, c, d)))

    assert not (first & second).any()
    np.testing.assert_array_equal(first | second, whole)


def cross(a: Sequence[int], b: Sequence[int], c: Sequence[int]) -> int:
    return (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])


def test_regions_are_numbered_and_the_first_one_wins_where_they_overlap() -> None:
    mask = fill_regions([region(SQUARE), region(moved(SQUARE, 0, 2)), region(moved(SQUARE, 10, 0))], SHAPE)

    assert mask.instances is not None
    assert mask.instances[2].tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2, *[0] * 15]
    assert mask.instances[12, 3] == 3
    np.testing.assert_array_equal(mask.pixels, mask.instances > 0)


def test_what_a_region_hides_entirely_is_said() -> None:
    mask = fill_regions([region(SQUARE), region(SQUARE)], SHAPE)

    assert mask.notes == ("region 2 of 2 encloses no pixel that is not another region's and adds none",)


def test_parts_outside_the_image_are_cut_off_with_a_note() -> None:
    mask = fill_regions([region(moved(SQUARE, -3, -5))], SHAPE)

    assert np.argwhere(mask.pixels).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert mask.notes == ("region 1 of 1 has 3 of its 4 points outside the 20 x 24 image; cut off there",)


def test_an_outline_is_closed_and_only_a_long_gap_is_said() -> None:
    shape = (200, 200)
    half_circle = [(100 - 80 * np.cos(t), 100 + 80 * np.sin(t)) for t in np.linspace(0, np.pi, 40)]

    mask = fill_regions([region(half_circle)], shape)

    assert mask.notes == ("region 1 of 1 is open: its ends are 160 pixels apart; closed by a straight line",)
    assert mask.pixels[100, 101]
    assert not mask.pixels[100, 99]
    assert fill_regions([region([(0, 0), (0, 100), (100, 100)])], shape).notes == ()


def test_a_mark_of_one_or_two_points_adds_nothing_and_is_said() -> None:
    mask = fill_regions([region(SQUARE), region([(9, 9)]), region([(9, 9), (15, 15)])], SHAPE)

    assert mask.pixels.sum() == 3 * 4
    assert mask.notes == (
        "region 2 of 3 is a mark of 1 points, no outline, and adds no pixel",
        "region 3 of 3 is a mark of 2 points, no outline, and adds no pixel",
    )


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([(9, 9)], "is a mark of 1 points"),
        ([], "is a mark of 0 points"),
        (moved(SQUARE, 100, 0), "4 of its 4 points outside"),
        ([(2.2, 2.2), (2.2, 2.4), (2.4, 2.4)], "encloses no pixel"),
    ],
)
def test_regions_that_enclose_nothing_at_all_are_an_error(points: Points, said: str) -> None:
    with pytest.raises(ReadError, match=rf"none of 1 regions encloses a pixel of the 20 x 24 image .*{said}"):
        fill_regions([region(points)], SHAPE)


def test_a_count_that_contradicts_the_points_is_said(tmp_path: Path) -> None:
    path = outlines(tmp_path / "a.xml", roi(SQUARE) | {"NumberOfPoints": 9})

    assert fill_regions(read_regions(path), SHAPE).notes == ("region 1 of 1 holds 4 points, its file says 9",)


@pytest.mark.parametrize("shape", [(10**7, 10**7), (0, 5), (-1, 5)])
def test_an_absurd_size_is_an_error_before_anything_is_allocated(shape: tuple[int, int]) -> None:
    with pytest.raises(ReadError, match="expected 1 to 100 megapixels"):
        fill_regions([region(SQUARE)], shape)


def test_more_regions_than_numbers_are_an_error() -> None:
    with pytest.raises(ReadError, match="256 regions, expected at most 255"):
        fill_regions([region(SQUARE)] * 256, SHAPE)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300])
def test_a_coordinate_that_is_not_finite_or_absurd_is_an_error(tmp_path: Path, value: float) -> None:
    points = [(1.0, 2.0), (value, 2.0), (3.0, 4.0)]

    with pytest.raises(ReadError, match=r"a\.xml: region 1 holds a coordinate that is not finite"):
        read_regions(outlines(tmp_path / "a.xml", roi(points)))
    with pytest.raises(ReadError, match="region 1 holds a coordinate that is not finite"):
        fill_regions([region(points)], SHAPE)


@pytest.mark.parametrize(
    ("rois", "said"),
    [
        (["Mass"], "region 1 is without the array Point_px"),
        ([{"Name": "Mass"}], "region 1 is without the array Point_px"),
        ([{"Point_px": ["(1, 2, 3)"]}], "region 1 holds a point that is none"),
        ([{"Point_px": [7]}], "region 1 holds a point that is none"),
        ([{"Point_px": ["(__import__, 1)"]}], "region 1 holds a point that is none"),
    ],
)
def test_a_region_that_is_none_is_an_error(tmp_path: Path, rois: list[object], said: str) -> None:
    with pytest.raises(ReadError, match=rf"a\.xml: {said}"):
        read_regions(outlines(tmp_path / "a.xml", *rois))


def test_regions_on_several_images_are_an_error(tmp_path: Path) -> None:
    image = {"ImageIndex": 0, "ROIs": [roi(SQUARE)]}
    path = tmp_path / "a.xml"
    path.write_bytes(plistlib.dumps({"Images": [image, {"ROIs": []}, image]}))

    with pytest.raises(ReadError, match="regions on 2 images, expected one"):
        read_regions(path)


BOMB = b"""<?xml version="1.0"?><!DOCTYPE plist [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><plist><string>&c;</string></plist>"""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no xml",
        b"<?xml version='1.0'?><plist><dict>",
        b"<?xml version='1.0'?><plist><integer>x</integer></plist>",
        b"<?xml version='1.0'?><plist><date>x</date></plist>",
        plistlib.dumps({"Images": []}, fmt=plistlib.FMT_BINARY),
        BOMB,
    ],
)
def test_what_is_no_property_list_in_xml_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(content)

    with pytest.raises(ReadError, match=r"a\.xml: no sound property list in XML"):
        read_regions(path)


@pytest.mark.parametrize("content", [{}, [], {"Images": {}}, {"Images": [3]}, {"Images": [{"ROIs": "x"}]}])
def test_another_property_list_is_an_error(tmp_path: Path, content: dict[str, object] | list[object]) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(plistlib.dumps(content))

    with pytest.raises(ReadError, match="expected a list of regions as OsiriX exports it"):
        read_regions(path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"a\.xml: can't be opened \(No such file"):
        read_regions(tmp_path / "a.xml")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_give_regions_or_our_error(tmp_path: Path, data: st.DataObject) -> None:
    path = outlines(tmp_path / "a.xml", roi(SQUARE), roi([(1, 1)], "Unnamed"))
    content = bytearray(path.read_bytes())
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 40)))
    content[start:end] = data.draw(st.binary(max_size=12))
    path.write_bytes(content)

    try:
        fill_regions(read_regions(path), SHAPE)
    except ReadError:
        return


def test_a_list_of_outlines_is_told_by_content_and_not_by_name(tmp_path: Path) -> None:
    picture = tmp_path / "a.xml"
    write_png(picture, np.eye(9, dtype=np.uint8))
    document = outlines(tmp_path / "a.png", roi(SQUARE)).read_bytes()
    wide = tmp_path / "wide.xml"
    wide.write_bytes(document.decode().replace("UTF-8", "UTF-16").encode("utf-16"))
    marked = tmp_path / "marked.xml"
    marked.write_bytes(b"\xef\xbb\xbf\r\n" + document.partition(b"?>")[2].lstrip())

    assert is_contours(tmp_path / "a.png")
    assert is_contours(wide)
    assert is_contours(marked)
    assert not is_contours(picture)
    assert read_regions(wide) == read_regions(tmp_path / "a.png")


def sample(*masks: Path, names: tuple[str, ...] = ()) -> Sample:
    return Sample(case="a", image_path=masks[0], mask_paths=masks, patient_id="P", region_names=names)


def test_a_samples_reference_is_filled_from_the_regions_of_its_names(tmp_path: Path) -> None:
    far = moved(SQUARE, 10, 10)
    path = outlines(tmp_path / "a.xml", roi(moved(SQUARE, 5, 5), "Cluster"), roi(SQUARE), roi(far))

    masses = read_reference(sample(path, names=("Mass",)), SHAPE)
    everything = read_reference(sample(path), SHAPE)

    assert masses.instances is not None
    assert masses.instances[2, 3] == 1
    assert masses.instances[12, 13] == 2
    assert masses.pixels.sum() == 24
    assert everything.pixels.sum() == 36


def test_masses_are_counted_without_the_image_whatever_holds_them(tmp_path: Path) -> None:
    far = moved(SQUARE, 10, 10)
    listed = outlines(tmp_path / "a.xml", roi(moved(SQUARE, 5, 5), "Cluster"), roi(SQUARE), roi(far))
    drawn = np.zeros(SHAPE, np.uint8)
    drawn[1:3, 1:3] = drawn[8:9, 8:9] = 255
    write_png(tmp_path / "b.png", drawn)
    (tmp_path / "c.png").write_bytes(b"no picture")

    counts = [count_masses(sample(path, names=("Mass",))) for path in (listed, tmp_path / "b.png", tmp_path / "c.png")]

    assert counts == [2, 2, 1]
    assert count_masses(sample(listed, tmp_path / "b.png", tmp_path / "c.png", names=("Mass",))) == 5


def test_a_sample_whose_names_no_region_bears_has_an_empty_reference(tmp_path: Path) -> None:
    path = outlines(tmp_path / "a.xml", roi(SQUARE, "Cluster"))

    assert not read_reference(sample(path, names=("Mass",)), SHAPE).pixels.any()


def test_a_sample_whose_regions_enclose_nothing_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = outlines(tmp_path / "a.xml", roi([(1, 1)]))

    with pytest.raises(ReadError, match=r"a\.xml: none of 1 regions"):
        read_reference(sample(path), SHAPE)


def test_outlines_and_pictures_of_one_sample_are_numbered_on(tmp_path: Path) -> None:
    path = outlines(tmp_path / "a.xml", roi(SQUARE), roi(moved(SQUARE, 10, 0)))
    picture = np.zeros(SHAPE, np.uint8)
    picture[2:5, 6:9] = 255
    write_png(tmp_path / "b.png", picture)

    mask = read_reference(sample(path, tmp_path / "b.png"), SHAPE)

    assert mask.instances is not None
    assert mask.instances[2].tolist() == [0, 0, 0, 1, 1, 1, 1, 3, 3, *[0] * 15]
    assert mask.instances[12, 3] == 2


def test_more_masses_in_several_files_than_numbers_are_an_error(tmp_path: Path) -> None:
    pixel = [(0, 0), (0, 1), (1, 1), (1, 0)]
    rois = [roi(moved(pixel, row, column)) for row in range(10) for column in range(20)]
    paths = [outlines(tmp_path / name, *rois) for name in ("a.xml", "b.xml")]

    with pytest.raises(ReadError, match="more than 255 masses on one image"):
        read_reference(sample(*paths), SHAPE)


def test_outlines_without_their_image_are_no_mask(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"a\.xml: a list of outlines, expected pixels"):
        read_mask(outlines(tmp_path / "a.xml", roi(SQUARE)))


def test_the_cache_tells_samples_apart_by_the_names_of_their_regions(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    write_png(image, (np.arange(64 * 64) % 251).reshape(64, 64).astype(np.uint8))
    big = [(10.0, 10.0), (10.0, 50.0), (50.0, 50.0), (50.0, 10.0)]
    path = outlines(tmp_path / "a.xml", roi(big), roi([(row / 2, column) for row, column in big], "Cluster"))
    cache = PreparedCache(tmp_path / "cache", Preprocessing(rows=32, columns=32))

    masks = [
        cache.load(Sample("a", image, (path,), "P", region_names=(name,))).mask.sum() for name in ("Mass", "Cluster")
    ]

    assert masks[0] > masks[1] > 0

from pathlib import Path

import pytest

from aunet.datasets.opening import open_dataset
from aunet.datasets.source import Source, read_source
from aunet.errors import DatasetError
from aunet.phantom.cbis_ddsm_layout import write_cbis_ddsm
from aunet.phantom.inbreast_layout import write_inbreast
from aunet.phantom.layouts import write_folder


def test_a_folder_says_where_its_images_come_from(tmp_path: Path) -> None:
    (tmp_path / "source.toml").write_text('citation = " Our hospital, 2024 "\nlicence = "not for release"\n')

    source = read_source(tmp_path)

    assert source == Source("Our hospital, 2024", "not for release")
    assert str(source) == "Our hospital, 2024, not for release"


def test_without_the_file_the_kind_of_data_set_speaks(tmp_path: Path) -> None:
    assert read_source(tmp_path) is None
    assert read_source(tmp_path, otherwise=Source("Known")) == Source("Known")
    assert str(Source("Known")) == "Known"


def test_phantoms_say_so_in_every_layout_even_in_the_tree_of_a_real_data_set(tmp_path: Path) -> None:
    write_folder(tmp_path / "folder", patients=1, seed=1, rows=64)
    write_cbis_ddsm(tmp_path / "cbis-ddsm", patients=1, seed=1, rows=64)
    write_inbreast(tmp_path / "inbreast", patients=1, seed=1, rows=64)

    for kind in ("folder", "cbis-ddsm", "inbreast"):
        source = open_dataset(f"{kind}:{tmp_path / kind}").source
        assert source is not None
        assert "no real mammogram" in source.citation, kind


@pytest.mark.parametrize("kind", ["cbis-ddsm", "inbreast"])
def test_the_file_counts_beside_the_tables_too(tmp_path: Path, kind: str) -> None:
    """The folder above a set's own may be given; its tables are found there."""
    write = write_cbis_ddsm if kind == "cbis-ddsm" else write_inbreast
    write(tmp_path / "set", patients=1, seed=1, rows=64)

    source = open_dataset(f"{kind}:{tmp_path}").source

    assert source is not None
    assert "no real mammogram" in source.citation


@pytest.mark.parametrize("kind", ["cbis-ddsm", "inbreast"])
def test_a_real_tree_is_cited_as_its_authors_want(tmp_path: Path, kind: str) -> None:
    write = write_cbis_ddsm if kind == "cbis-ddsm" else write_inbreast
    (write(tmp_path, patients=1, seed=1, rows=64) / "source.toml").unlink()

    source = open_dataset(f"{kind}:{tmp_path}").source

    dois = {"cbis-ddsm": "10.7937/K9/TCIA.2016.7O02S9CY", "inbreast": "10.1016/j.acra.2011.09.014"}
    assert source is not None
    assert dois[kind] in source.citation


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("citation = ", "can't be read"),
        ('licence = "CC0"', "holds licence"),
        ('citation = " "', "holds citation"),
        ("citation = 2024", "holds citation"),
        ('citation = "x"\nlicense = "CC0"', "holds citation, license"),
        ("", "holds nothing"),
    ],
)
def test_a_file_of_something_else_is_one_clear_error(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "source.toml").write_text(text)

    with pytest.raises(DatasetError, match=f"source.toml: {found}.*expected lines such as citation"):
        read_source(tmp_path)

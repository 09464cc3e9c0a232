"""The paper's numbers: Sun et al. 2020, Phys. Med. Biol. 65 055005, doi 10.1088/1361-6560/ab5745."""

from collections.abc import Mapping

from aunet.studies.arms import MeanSd, PaperRow


def _row(
    dsc: tuple[float, float],
    sensitivity: tuple[float, float],
    area_difference: tuple[float, float],
    hau: tuple[float, float],
) -> PaperRow:
    return PaperRow(MeanSd(*dsc), MeanSd(*sensitivity), MeanSd(*area_difference), MeanSd(*hau))


TABLE_1: Mapping[str, PaperRow] = {
    "UNet (Basic-Basic)": _row((73.6, 0.2), (79.4, 1.3), (42.7, 3.1), (3.38, 0.04)),
    "Basic-Deep-UNet": _row((74.3, 0.1), (78.8, 0.4), (37.7, 1.2), (3.28, 0.05)),
    "Basic-Res-UNet": _row((74.6, 0.3), (80.0, 0.7), (42.0, 1.6), (3.31, 0.07)),
    "Deep-Basic-UNet": _row((77.3, 0.5), (82.5, 0.8), (36.6, 0.2), (3.16, 0.03)),
    "Deep-Deep-UNet": _row((77.3, 0.4), (81.3, 1.2), (35.7, 1.8), (3.19, 0.04)),
    "Deep-Res-UNet": _row((76.9, 0.7), (81.6, 1.1), (36.4, 1.9), (3.16, 0.05)),
    "Res-Basic-UNet": _row((77.5, 0.2), (82.3, 1.5), (35.2, 3.6), (3.18, 0.04)),
    "Res-Deep-UNet": _row((76.3, 0.2), (81.9, 1.5), (38.4, 3.8), (3.23, 0.04)),
    "Res-Res-UNet": _row((76.2, 0.1), (80.4, 0.2), (34.7, 0.9), (3.19, 0.02)),
}
TABLE_2: Mapping[str, PaperRow] = {
    "r = 2": _row((80.6, 0.2), (83.7, 0.9), (29.1, 1.2), (3.02, 0.03)),
    "r = 4": _row((80.8, 0.2), (84.6, 0.4), (28.5, 0.8), (2.97, 0.02)),
    "r = 8": _row((81.0, 0.3), (84.4, 0.3), (29.1, 2.4), (2.97, 0.06)),
    "r = 16": _row((81.8, 0.0), (84.9, 0.3), (26.9, 0.3), (2.96, 0.03)),
    "r = 32": _row((80.8, 0.0), (84.1, 0.5), (28.5, 1.4), (2.98, 0.01)),
}
TABLE_3: Mapping[str, PaperRow] = {
    "UNet": _row((73.6, 0.2), (79.4, 1.3), (42.7, 3.1), (3.38, 0.04)),
    "FusionNet": _row((79.8, 0.5), (83.9, 0.8), (31.3, 0.5), (3.01, 0.03)),
    "FCDenseNet103": _row((78.2, 0.1), (84.2, 0.6), (40.2, 0.3), (3.13, 0.04)),
    "AUNet": _row((81.8, 0.0), (84.9, 0.3), (26.9, 0.3), (2.96, 0.03)),
}
TABLE_4: Mapping[str, PaperRow] = {
    "UNet (w/o)": _row((62.3, 3.7), (62.7, 4.0), (54.3, 19.7), (4.73, 0.26)),
    "UNet (w/)": _row((69.3, 6.8), (70.4, 8.8), (44.0, 13.3), (4.54, 0.42)),
    "FusionNet (w/o)": _row((62.1, 5.8), (65.1, 5.4), (62.7, 30.9), (4.80, 0.33)),
    "FusionNet (w/)": _row((73.2, 5.8), (74.6, 5.4), (69.8, 33.8), (4.33, 0.34)),
    "FCDenseNet103 (w/o)": _row((42.9, 8.5), (52.8, 11.9), (149.5, 71.8), (6.20, 0.52)),
    "FCDenseNet103 (w/)": _row((76.1, 4.6), (77.9, 4.7), (47.1, 17.3), (4.35, 0.35)),
    "AUNet (w/o)": _row((64.0, 7.6), (66.0, 7.4), (51.6, 21.0), (4.66, 0.43)),
    "AUNet (w/)": _row((79.1, 6.0), (80.8, 7.1), (37.6, 15.4), (4.04, 0.33)),
}
TABLE_5: Mapping[str, PaperRow] = {
    "UNet": _row((92.0, 0.8), (93.1, 1.2), (8.3, 2.5), (6.88, 0.18)),
    "FusionNet": _row((92.0, 0.8), (92.7, 1.0), (8.1, 2.9), (6.94, 0.19)),
    "FCDenseNet103": _row((89.5, 0.8), (89.6, 2.0), (11.7, 2.2), (7.23, 0.14)),
    "AUNet": _row((92.4, 0.9), (93.7, 0.9), (7.5, 2.6), (6.85, 0.28)),
}
TABLE_7: Mapping[str, PaperRow] = {
    "Gray input (resize 256x256)": _row((80.9, 0.4), (84.5, 0.5), (29.9, 0.2), (2.97, 0.01)),
    "RGB input (resize 256x256)": _row((81.8, 0.0), (84.9, 0.3), (26.9, 0.3), (2.96, 0.03)),
    "RGB input (resize 512x512)": _row((78.7, 0.5), (81.1, 0.1), (28.6, 1.0), (4.30, 0.02)),
    "RGB input (pad & resize 256x256)": _row((78.9, 0.2), (83.3, 0.2), (30.4, 1.1), (2.20, 0.01)),
}


FIRST_PLACES: Mapping[str, int] = {"UNet": 3, "FusionNet": 15, "FCDenseNet103": 10, "AUNet": 56}
"""Section 4.1.3: in how many of the 84 cases of tables S3-S6 each network is first."""
AUNET_FIRST_PLACES: Mapping[str, int] = {"dsc": 16, "sensitivity": 11, "area_difference": 14, "hau_rowwise": 15}
"""Section 4.1.3: AUNet's first places by metric."""

"""The paper's tables and figures as lists of entries."""

from collections.abc import Mapping
from types import MappingProxyType

from aunet.studies import published
from aunet.studies.arms import Entry, Study

CHOSEN_ON_THE_TEST_IMAGES = (
    "The paper chose r, the backbone and alpha on the images that it reports; here too every entry is scored on the "
    "test images, so take the best of them as a choice and not as a result."
)
NO_SUPPLEMENT = (
    "The numbers of the paper's supplement (tables S1-S9) are not in its article, so there are none to lay beside ours."
)
UNITS = ("Basic", "Deep", "Res")
NETWORKS = ("UNet", "FusionNet", "FCDenseNet103", "AUNet")
_FOUR = tuple(Entry(name, recipe=f"paper/table3_{name.lower()}") for name in NETWORKS)


def _backbone(encoder: str, decoder: str) -> Entry:
    if encoder == decoder == "Basic":
        return Entry("UNet (Basic-Basic)", recipe="paper/table1_unet")
    return Entry(f"{encoder}-{decoder}-UNet", recipe=f"paper/table1_{encoder}_{decoder}_unet".lower())


def _on_inbreast(entry: Entry, *, is_pretrained: bool) -> Entry:
    recipe = f"paper/table4_{entry.name.lower()}"
    if not is_pretrained:
        return Entry(f"{entry.name} (w/o)", recipe=f"{recipe}_without", data="inbreast", folds=5)
    return Entry(f"{entry.name} (w/)", recipe=f"{recipe}_with", data="inbreast", folds=5, pretraining=entry)


_PRETRAINED = tuple(_on_inbreast(entry, is_pretrained=True) for entry in _FOUR)

_STUDIES = (
    Study(
        "table1",
        "Table 1: encoder and decoder units",
        tuple(_backbone(encoder, decoder) for encoder in UNITS for decoder in UNITS),
        reference="UNet (Basic-Basic)",
        published=published.TABLE_1,
        remark=CHOSEN_ON_THE_TEST_IMAGES,
    ),
    Study(
        "table2",
        "Table 2: reduction ratio r of the AU block",
        tuple(Entry(f"r = {r}", recipe=f"paper/table2_r{r}") for r in (2, 4, 8, 16, 32)),
        reference="r = 16",
        published=published.TABLE_2,
        remark=CHOSEN_ON_THE_TEST_IMAGES,
    ),
    Study(
        "table3",
        "Table 3: four networks on CBIS-DDSM",
        _FOUR,
        reference="AUNet",
        published=published.TABLE_3,
    ),
    Study(
        "table4",
        "Table 4: four networks on INbreast, without and with pretraining on CBIS-DDSM",
        tuple(_on_inbreast(entry, is_pretrained=pretrained) for entry in _FOUR for pretrained in (False, True)),
        reference="AUNet (w/)",
        published=published.TABLE_4,
    ),
    Study(
        "table5",
        "Table 5: four networks on mass-centred patches of INbreast",
        tuple(Entry(name, recipe=f"paper/table5_{name.lower()}", data="inbreast", folds=5) for name in NETWORKS),
        reference="AUNet",
        published=published.TABLE_5,
        remark="A patch is cut around the largest reference mass of its image (our reading: the paper doesn't say "
        "which of several); others count as far as they lie inside. So these scores say nothing of finding a mass.",
    ),
    Study(
        "table6",
        "Table 6: layers, parameters and frames a second",
        _FOUR,
        kind="complexity",
        remark="Layers and parameters can be compared; frames a second can't, since the paper's are of a GeForce GTX "
        "1080 Ti and ours of this machine.",
    ),
    Study(
        "table7",
        "Table 7: AUNet with other inputs",
        (
            Entry("Gray input (resize 256x256)", recipe="paper/table7_grey"),
            Entry("RGB input (resize 256x256)", recipe="paper/table7_rgb"),
            Entry("RGB input (resize 512x512)", recipe="paper/table7_512"),
            Entry("RGB input (pad & resize 256x256)", recipe="paper/table7_pad"),
        ),
        reference="RGB input (resize 256x256)",
        published=published.TABLE_7,
        remark="Scores are measured on each input's own grid, as the paper's seem to be, so that a distance on the "
        "grid of 512 x 512 is in smaller pixels; there the batch is 2, as in the paper.",
    ),
    Study(
        "s1",
        "Table S1: deconvolution against bilinear upsampling in UNet",
        (
            Entry("UNet, deconvolution", recipe="paper/s1_deconvolution"),
            Entry("UNet, bilinear", recipe="paper/s1_bilinear"),
        ),
        reference="UNet, bilinear",
        remark=f"{NO_SUPPLEMENT} The text says that bilinear upsampling did better. {CHOSEN_ON_THE_TEST_IMAGES}",
    ),
    Study(
        "s2",
        "Table S2: weight alpha of the cross-entropy in AUNet's loss",
        (
            Entry("alpha = 0.5", recipe="paper/s2_alpha_half"),
            Entry("alpha = 1", recipe="paper/s2_alpha_1"),
            Entry("alpha = 2", recipe="paper/s2_alpha_2"),
        ),
        reference="alpha = 1",
        remark=f"{NO_SUPPLEMENT} The text says that alpha = 1 did best. {CHOSEN_ON_THE_TEST_IMAGES}",
    ),
    Study(
        "s3-s6",
        "Tables S3-S6: four networks in 21 categories of masses, by 4 metrics",
        _FOUR,
        kind="categories",
        reference="AUNet",
        published=published.TABLE_3,
        remark=f"{NO_SUPPLEMENT} The text counts the first places; those stand beside ours.",
    ),
    Study(
        "figure1",
        "Figure 1: what the two data sets hold",
        (Entry("CBIS-DDSM"), Entry("INbreast", data="inbreast")),
        kind="distributions",
        remark="The paper shows the 858 images of CBIS-DDSM that it used; here are all that can be read.",
    ),
    Study(
        "figure4",
        "Figure 4: cumulative distribution of DSC on CBIS-DDSM",
        _FOUR,
        kind="cumulative",
        reference="AUNet",
        published=published.TABLE_3,
    ),
    Study(
        "figure5",
        "Figure 5: cumulative distribution of DSC on INbreast with pretraining",
        _PRETRAINED,
        kind="cumulative",
        reference="AUNet (w/)",
        published=published.TABLE_4,
    ),
    Study(
        "figure6-7",
        "Figures 6 and 7: outlines of the four networks",
        (*_FOUR, *_PRETRAINED),
        kind="overlays",
        published={**published.TABLE_3, **published.TABLE_4},
        remark="The paper chose its images by hand. Here a rule does: for figure 6 the images of each data set at the "
        "first and the third quarter of the networks' mean DSC, for figure 7 those with the smallest, the median and "
        "the largest mass.",
    ),
)

STUDIES: Mapping[str, Study] = MappingProxyType({study.name: study for study in _STUDIES})
"""By name, as `aunet study` takes it."""

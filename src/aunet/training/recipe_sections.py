"""The sections of a recipe: frozen records, each entry with its range and its default."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from aunet.models.card import MEAN, REDUCTIONS, NetworkSettings
from aunet.preprocessing.augment import AugmentationSettings
from aunet.preprocessing.breast import DEFAULT_LEVEL
from aunet.preprocessing.pipeline import Preprocessing

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Positive = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """What all have in common: nothing in them changes, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class NetworkSection(Section):
    """Which network is built."""

    name: str = "aunet"
    """Name of the network, as `aunet networks` lists them; or `au-timm`, AUNet's decoder on an encoder of timm; or a
    class: `monai.networks.nets:AttentionUnet`. `aunet-r8` and its like become `aunet` with that `reduction`."""
    in_channels: Annotated[int, Field(ge=1, le=3)] = 3
    """Channels of the model input; equal to `preprocessing.channels`."""
    classes: Literal[2] = 2
    """Background and mass."""
    width: Positive = 64
    """Channels of the first level; each level below has twice as many. `au-timm` has those of its encoder."""
    reduction: Positive = 16
    """Reduction ratio r of the squeeze-and-excitation in the AU block of networks `aunet` and `au-timm`."""
    arguments: dict[str, JsonValue] = {}
    """More arguments of the network's constructor, by name, with nested tables and lists; the text "None" is None."""

    @model_validator(mode="before")
    @classmethod
    def _reduction_of_the_name(cls, entries: object) -> object:
        # One name for one network: checkpoints and fine-tuning compare names.
        if not isinstance(entries, dict) or (reduction := REDUCTIONS.get(str(entries.get("name")))) is None:
            return entries
        if entries.get("reduction", reduction) != reduction:
            msg = (
                f"the name {entries['name']!r} means a reduction of {reduction}, and the entry reduction is"
                f" {entries['reduction']!r}; leave that out, or set the name to 'aunet'"
            )
            raise ValueError(msg)
        return entries | {"name": "aunet", "reduction": reduction}

    @field_validator("name")
    @classmethod
    def _is_one_network(cls, name: str) -> str:
        if name == MEAN:
            msg = f"{MEAN!r} is what aunet calibrate makes of several trained networks; train each of them by itself"
            raise ValueError(msg)
        return name

    @field_validator("arguments")
    @classmethod
    def _toml_can_say_it(cls, arguments: dict[str, Any]) -> dict[str, Any]:  # Any: beartype can't follow JsonValue
        if _holds_none(arguments):
            msg = 'TOML has no null; write the text "None" where the constructor shall get None'
            raise ValueError(msg)
        return arguments

    def settings(self) -> NetworkSettings:
        """The plain record that builds the network."""
        return NetworkSettings(**self.model_dump())


class PreprocessingSection(Section):
    """How a mammogram becomes model input."""

    rows: Positive = 256
    """Height of the model input in pixels."""
    columns: Positive = 256
    """Width of the model input in pixels."""
    longest_px: Positive | None = None
    """Reduce images to so many pixels along the longer side first; none keeps them all."""
    full_size: Literal["whole", "prepared_cbis_ddsm"] = "whole"
    """How they are reduced: as they are, or as the prepared images of CBIS-DDSM were made."""
    fit: Literal["resize", "pad"] = "resize"
    """Resize to the model input as it is, or pad to its aspect ratio first."""
    crop: bool = True
    """Crop rows and columns of negligible maximum."""
    remove_artefacts: bool = True
    """Set film borders, letters, tape and clips outside the breast to zero."""
    face_left: bool = True
    """Flip so that the chest wall is on the left."""
    intensity: Literal["min_max", "z_score", "percentile", "histogram"] = "min_max"
    """How the grey values are normalised."""
    percentiles: tuple[float, float] = (1.0, 99.0)
    """Lower and upper percentile of the window, for intensity "percentile"."""
    reference_quantiles: tuple[float, ...] | None = None
    """Quantiles of a reference that the breast's values are matched to first; intensity "histogram" needs them."""
    channels: Literal[1, 3] = 3
    """1 for grey, 3 for the grey image copied to red, green and blue."""
    patch_margin: Annotated[float, Field(ge=0.0)] | None = None
    """Cut a patch around the mass, its area enlarged by this fraction; none for whole mammograms."""
    breast_level: Annotated[float, Field(gt=0.0, lt=1.0)] = DEFAULT_LEVEL
    """Share of the brightest tissue below which a pixel is background, for `remove_artefacts`."""
    channel_mean: tuple[float, ...] | None = None
    """What is subtracted from each channel, last of all; what a pretrained encoder wants. None for nothing."""
    channel_std: tuple[float, ...] | None = None
    """What each channel is divided by after that."""

    @model_validator(mode="after")
    def _settings_fit(self) -> "PreprocessingSection":
        self.settings()
        return self

    def settings(self) -> Preprocessing:
        """The plain record that preprocessing takes."""
        return Preprocessing(**self.model_dump())


class TrainingSection(Section):
    """How the weights are found."""

    epochs: Positive = 120
    """Epochs to train, at most."""
    batch_size: Positive = 4
    """Images a step, on each device."""
    optimizer: Literal["adam", "adamw"] = "adam"
    """Adam, or Adam with decoupled weight decay."""
    amsgrad: bool = True
    """Use the AMSGrad variant."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    """Weight decay of the optimizer."""
    schedule: Literal["steps", "cosine"] = "steps"
    """`steps` holds each learning rate for its epochs; `cosine` falls from the first rate to the last."""
    learning_rates: tuple[Annotated[float, Field(gt=0.0)], ...] = (1e-4, 5e-5, 1e-5, 1e-6)
    """Learning rates, in order."""
    epochs_per_rate: tuple[Positive, ...] = (40, 30, 30, 20)
    """Epochs for which each rate holds (`steps`); the last one holds to the end. In a shorter run they shrink in
    proportion."""
    warmup_epochs: Annotated[int, Field(ge=0)] = 0
    """Epochs over which the rate first rises linearly."""
    alpha: Annotated[float, Field(ge=0.0)] = 1.0
    """Weight of the cross-entropy in the loss; 0 for the Dice loss alone."""
    dice_weight: Annotated[float, Field(ge=0.0)] = 1.0
    """Weight of the Dice loss; 0 for the cross-entropy alone."""
    epsilon: Annotated[float, Field(gt=0.0)] = 1.0
    """Constant of the Dice loss, in pixels."""
    dice_over: Literal["image", "batch"] = "image"
    """Sums of the Dice loss run over the pixels of each image (the paper), or of the whole batch."""
    deep_supervision: NotNegative = 0.0
    """Weight of the mean loss of a classifier on each decoder level but the last, in training only; 0 for none."""
    ema_decay: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Validate and save an exponential moving average of the weights (and batch statistics) that keeps this share of
    itself at each step, such as 0.999; 0 for the weights as they are."""
    gradient_clip: Annotated[float, Field(ge=0.0)] = 0.0
    """Largest norm of the gradient; 0 leaves it as it is."""
    validation_fraction: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.15
    """Share of the training patients held out where the data set has no validation split; 0 for none."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Stop after so many epochs without a better mean DSC on the validation images; 0 never stops early."""
    threshold: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    """Probability from which a pixel counts as mass, in validation and in the checkpoint."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Decides the first weights, the held-out patients, the order of the images and the augmentation."""

    @model_validator(mode="after")
    def _has_a_loss(self) -> "TrainingSection":
        if self.alpha == self.dice_weight == 0:
            msg = "alpha and dice_weight are both 0, which leaves no loss; set one of them above 0"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _rates_fit(self) -> "TrainingSection":
        if not self.learning_rates:
            msg = "learning_rates is empty; give at least one"
            raise ValueError(msg)
        if self.schedule == "steps" and len(self.learning_rates) != len(self.epochs_per_rate):
            msg = (
                f"learning_rates has {len(self.learning_rates)} entries and epochs_per_rate "
                f"{len(self.epochs_per_rate)}; give one number of epochs for each rate"
            )
            raise ValueError(msg)
        return self


class FineTuningSection(Section):
    """What becomes of the weights that `--init` takes from a checkpoint; the defaults train them all on."""

    requires_checkpoint: bool = False
    """The recipe starts from a checkpoint: without `--init` it is an error. So are other values than these defaults."""
    head: Literal["keep", "reset"] = "keep"
    """Keep the last convolution, the classifier, or give it random weights."""
    freeze: tuple[str, ...] = ()
    """Parts of the network that stay as they are, such as "encoder"; their batch normalisation keeps its statistics."""
    learning_rate_factor: Annotated[float, Field(gt=0.0)] = 1.0
    """Multiplies `training.learning_rates`."""
    head_learning_rate_factor: Annotated[float, Field(gt=0.0)] | None = None
    """The same for the head's weights alone; none for the factor of all others."""

    @property
    def head_factor(self) -> float:
        """Learning rate of the head, as a multiple of the other weights'."""
        own = self.head_learning_rate_factor
        return 1.0 if own is None else own / self.learning_rate_factor


class AugmentationSection(Section):
    """Random changes of the training images; everything 0 changes nothing, as in the paper."""

    mirror_probability: Fraction = 0.0
    """How often left and right change places."""
    flip_probability: Fraction = 0.0
    """How often top and bottom change places."""
    rotation_degrees: NotNegative = 0.0
    """Largest rotation either way."""
    scale: NotNegative = 0.0
    """Scales are drawn between 1 / (1 + this) and 1 + this."""
    shift: NotNegative = 0.0
    """Largest shift, as a share of the image's rows and columns."""
    gamma: NotNegative = 0.0
    """Exponents of the grey values are drawn between 1 / (1 + this) and 1 + this."""
    contrast: NotNegative = 0.0
    """Contrast factors are drawn between 1 / (1 + this) and 1 + this."""
    brightness: NotNegative = 0.0
    """Largest offset, as a share of the image's range."""
    noise: NotNegative = 0.0
    """Largest standard deviation of Gaussian noise, as a share of the image's range."""
    blur_px: NotNegative = 0.0
    """Largest standard deviation of a Gaussian blur, in pixels of the model input."""
    hide_probability: Fraction = 0.0
    """How often an image's masses are taken out, so that it shows a breast without any."""
    paste_probability: Fraction = 0.0
    """How often one mass of another training image is added."""

    def settings(self) -> AugmentationSettings:
        """The plain record that augmentation takes."""
        return AugmentationSettings(**self.model_dump())


class HardwareSection(Section):
    """What the run computes on; changes its speed, and its result within the noise of rounding."""

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """`auto` takes CUDA where there is a device, else the CPU."""
    devices: Positive = 1
    """Devices on each node."""
    num_nodes: Positive = 1
    """Machines."""
    strategy: str = "auto"
    """Lightning's name of the strategy for several devices (`ddp`, `fsdp` ...)."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """`auto` takes bfloat16 mixed precision on a GPU or processor (Intel AMX) with units for it, else 32 bit."""
    deterministic: bool = True
    """Only algorithms that give the same bits each time."""
    cudnn_benchmark: bool = False
    """Let cuDNN try its algorithms and take the fastest; not the same in each run."""
    tf32: bool = False
    """Let CUDA devices round the factors of 32-bit products to 10 bits."""
    channels_last: bool = True
    """Store the channels of a pixel side by side; much faster on the CPU."""
    keep_memory: bool = True
    """Keep freed memory for the next step instead of giving it back to the system (Linux, CPU)."""
    threads: Annotated[int, Field(ge=0)] = 0
    """Threads of PyTorch on the CPU; 0 leaves its choice."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes that load images; 0 loads them in the training process, enough for prepared arrays on disk."""


class ProvenanceSection(Section):
    """What goes into the checkpoint about rights and origin."""

    licence: str | None = None
    """Licence of the weights; None says that it is not stated, and the licence of the images where that is known."""
    data_source: str | None = None
    """Where the training images come from, as their licence wants it said; None takes what the data set says of itself:
    its `source.toml`, else what is known of CBIS-DDSM and INbreast."""
    encoder: str = ""
    """Where the encoder's first weights come from, as their licence wants it said."""
    notes: str = ""
    """Anything a user of the weights should know."""


def _holds_none(value: object) -> bool:
    """Whether there is a None anywhere in a value."""
    if isinstance(value, dict):
        return any(_holds_none(item) for item in value.values())
    if isinstance(value, list):
        return any(_holds_none(item) for item in value)
    return value is None

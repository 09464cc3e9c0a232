"""How a run went: loss and validation DSC by epoch."""

import pandas as pd
from matplotlib.figure import Figure


def learning_curve(metrics: pd.DataFrame) -> Figure:
    """Loss and mean validation DSC against the epoch.

    Args:
        metrics: `metrics.csv` of a run.

    Returns:
        A figure with the two side by side.
    """
    figure = Figure(figsize=(7, 3), layout="constrained")
    loss_axes, dice_axes = figure.subplots(1, 2)
    loss_axes.plot(metrics["epoch"], metrics["train_loss"], label="training")
    loss_axes.plot(metrics["epoch"], metrics["validation_loss"], linestyle="--", label="validation")
    loss_axes.set(xlabel="epoch", ylabel="loss (Dice + cross-entropy)")
    loss_axes.legend(frameon=False)
    dice_axes.plot(metrics["epoch"], metrics["validation_dsc"], color="C1", marker="o", markersize=3)
    dice_axes.set(xlabel="epoch", ylabel="mean validation DSC", ylim=(0, 1))
    return figure

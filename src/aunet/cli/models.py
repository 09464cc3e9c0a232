"""`aunet models`: the models that come with this package."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from aunet.inference.shipped import ShippedModel, shipped_models
from aunet.intended_use import RESEARCH_ONLY


def run(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document: a list of models.")] = False,
) -> None:
    """List the models that come with this package, which --weights takes by name.

    For each, what its card says: network, training data, licence, threshold.
    """
    models = shipped_models()
    if as_json:
        typer.echo(json.dumps([_record(model) for model in models], indent=1))
        return
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for model in models:
        _show(console, model)
    console.print(RESEARCH_ONLY)


def _record(model: ShippedModel) -> dict[str, object]:
    """One model as it stands in the JSON document."""
    entries = asdict(model)
    is_default = entries.pop("is_default")
    return {
        "name": entries.pop("name"),
        "default": is_default,
        **entries,
        "path": str(model.path),
        "use": RESEARCH_ONLY,
    }


def _show(console: Console, model: ShippedModel) -> None:
    console.print(f"{model.name}{' (the default)' if model.is_default else ''}")
    lines = {
        "network": model.network,
        "trained": f"{model.trained} on {model.data_source}",
        "licence": model.licence,
        "threshold": f"{model.threshold:g}",
        "notes": model.notes,
        "file": f"{model.path}, {model.size_bytes / 1e6:.1f} MB",
        "SHA-256": model.sha256,
    }
    for title, text in lines.items():
        if text:
            console.print(f"  {title:<10} {text}")
    console.print()

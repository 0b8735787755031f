"""`geoapp detect train / evaluate / export`: from data to weights to a measured, exported model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from geoapp.errors import Refused

app = typer.Typer(no_args_is_help=True)
_console = Console(stderr=True)
JSON = typer.Option(False, "--json", help="Print JSON.")
WEIGHTS = typer.Option(None, "--weights", help="A .pt file; the watch's own weights where not given.")


@app.command()
def train(
    data_root: Path = typer.Option(..., "--data-root", help="Folder of the data sets (docs/model_card.md)."),
    weights: Path = typer.Option(..., "--weights", help="YOLO11 weights to start from."),
    out: Path = typer.Option(..., "--out", help="Folder for the data set, the run and the result."),
    epochs: int = typer.Option(5, min=1),
    minutes: float | None = typer.Option(None, help="Stop after this long, whatever the epochs."),
    imgsz: int = typer.Option(416, min=64, help="Longest side in training, pixels."),
    scenes: int = typer.Option(380, min=1, help="Rendered places, four frames each."),
    as_json: bool = JSON,
) -> None:
    """训练 / Build the data set (real and rendered) and fine-tune; prints where the weights are."""
    from detection.training.build import build
    from detection.training.train import train as run_training

    for path, what in ((data_root, "data root"), (weights, "weights")):
        if not path.exists():
            raise Refused(f"{path}: 不存在 / the {what} is not there.")
    try:
        with _console.status("渲染数据集 / rendering the data set …"):
            counts = build(data_root, out / "dataset", scenes=scenes)
        trained = run_training(
            out / "dataset" / "data.yaml", weights, out, epochs=epochs, imgsz=imgsz, minutes=minutes
        )
    except (ValueError, OSError) as fault:
        raise Refused(f"训练停止 / training stopped: {fault}") from None
    said = {"weights": str(trained), "images": counts}
    typer.echo(json.dumps(said, ensure_ascii=False) if as_json else str(trained))


@app.command()
def evaluate(
    data: Path = typer.Argument(..., help="A YOLO data.yaml; classes are compared by name."),
    weights: Path | None = WEIGHTS,
    imgsz: int | None = typer.Option(None, min=64, help="Longest side, pixels; the weights' own by default."),
    split: str = typer.Option("val", help="Which part of data.yaml."),
    as_json: bool = JSON,
) -> None:
    """评估 / Measure weights on a labelled set: boxes (mAP) and frames (AUC, recall at 5 % false alarms)."""
    from detection.training.evaluate import evaluate as measure

    chosen = _weights(weights)
    if not data.is_file():
        raise Refused(f"{data}: 没有这个文件 / there is no such data.yaml.")
    try:
        with _console.status("评估 / evaluating …"):
            figures = measure(
                data,
                chosen.path,
                imgsz=imgsz or chosen.imgsz or 640,
                split=split,
                thresholds=chosen.thresholds or None,
            )
    except (ValueError, OSError) as fault:
        raise Refused(f"评估停止 / evaluation stopped: {fault}") from None
    if as_json:
        typer.echo(json.dumps(figures, ensure_ascii=False))
        return
    table = Table("", "")
    for name in ("images", "map50", "map50_95", "auc", "recall_at_5_far"):
        value = figures[name]
        table.add_row(
            name, "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
        )
    for name, row in figures["per_class"].items():
        table.add_row(name, f"AP50 {row['ap50']:.3f}, AP50-95 {row['ap50_95']:.3f}, {row['boxes']} boxes")
    Console().print(table)


@app.command()
def export(
    out: Path = typer.Argument(..., help="Folder for the exported model."),
    weights: Path | None = WEIGHTS,
    height: int = typer.Option(384, min=32, help="Of the input, pixels, a multiple of 32."),
    width: int = typer.Option(640, min=32),
    as_json: bool = JSON,
) -> None:
    """导出 / Export to OpenVINO with a fixed shape, and compare it with the weights on rendered frames."""
    from detection.training.export import export as run_export

    chosen = _weights(weights)
    try:
        with _console.status("导出 / exporting …"):
            said = run_export(chosen.path, out, imgsz=(height, width))
    except (ValueError, OSError) as fault:
        raise Refused(f"导出停止 / export stopped: {fault}") from None
    typer.echo(json.dumps(said, ensure_ascii=False) if as_json else said["path"])


def _weights(given: Path | None) -> Any:
    from detection.backends.weights import find_weights
    from geoapp.settings import settings

    configured = settings()
    return find_weights(configured if given is None else configured.model_copy(update={"model": given}))

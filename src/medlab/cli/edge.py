"""`medlab edge`: int8 models for microcontrollers."""

from pathlib import Path
from typing import Annotated

import typer

from medlab.cli.groups import new_group

app = new_group(name="edge", help="Compile and inspect int8 models for microcontrollers.")

Model = Annotated[Path, typer.Argument(help="An int8 .tflite file.")]


@app.command("compile")
def compile_(
    model: Model,
    out: Annotated[Path, typer.Option(help="Folder for model.c and model.h.")],
) -> None:
    """Write an int8 model as plain C: model.c and model.h."""
    from medlab.edge.compiler import report
    from medlab.edge.compiler.compile import compile_model

    compiled = compile_model(model, out)
    for line in report.summary(compiled):
        print(line)
    print(f"written: {out / 'model.c'}, {out / 'model.h'}")


@app.command()
def inspect(
    model: Model,
    figure: Annotated[
        Path | None,
        typer.Option("--picture", help="Draw the memory plan to this .png, .svg or .pdf file."),
    ] = None,
) -> None:
    """Show a model's operators, sizes and memory plan without writing any code."""
    from rich.console import Console
    from rich.table import Table

    from medlab.edge.compiler import report
    from medlab.edge.compiler.compile import translate
    from medlab.edge.compiler.tflite import read_model

    compiled = translate(read_model(model))
    if figure:
        report.draw_plan(compiled, figure)
    operators = Table("operator", "output", "multiplications", "bytes of weights")
    for row in report.operator_rows(compiled):
        operators.add_row(*row)
    arena = Table("in the arena", "bytes", "steps")
    for row in report.block_rows(compiled):
        arena.add_row(*row)
    Console().print(operators, arena)
    for line in report.summary(compiled):
        print(line)
    if figure:
        print(f"memory plan: {figure}")


@app.command()
def array(
    model: Model,
    out: Annotated[Path, typer.Option(help="The header to write, such as model_data.h.")],
) -> None:
    """Write an int8 model as a C byte array, for TensorFlow Lite for Microcontrollers."""
    from medlab.edge.boards import arduino
    from medlab.files import write_text

    write_text(out, arduino.array(model))
    print(f"written: {out}, {model.stat().st_size:,} bytes of model as model_data")


@app.command()
def arena(model: Model) -> None:
    """Find the smallest tensor arena in which tflite-micro runs a model."""
    from medlab.edge.compiler.smallest_arena import smallest_arena

    print(f"{smallest_arena(model):,} bytes: tflite-micro on this computer, rounded up to 64")

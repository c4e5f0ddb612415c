"""`minbert demo`."""

from pathlib import Path
from typing import Annotated

import typer

from minbert.cli.errors import told
from minbert.cli.jobs import going_on

INPUTS: dict[str, str | tuple[str, str]] = {
    "sentiment": "What a wonderful evening, we laughed from start to finish.",
    "questions": ("How can I keep cut flowers fresh for longer?", "What keeps cut flowers fresh longer?"),
    "similarity": ("The council will close the old bridge in May.", "A bridge in the town shuts in May."),
}


@told
def demo(
    run: Annotated[Path, typer.Option(help="Where the run goes.")] = Path("runs/demo"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, ...")] = "auto",
) -> None:
    """Train three small tasks at once, on data that comes with minbert, and use the result.

    Example: minbert demo
    """
    from minbert.cli.screen import Bar, console
    from minbert.cli.train import show_run
    from minbert.inference import load
    from minbert.recipe import load_recipe
    from minbert.runs import Run
    from minbert.training import train as run_training

    folder = Run(run)
    recipe = load_recipe("demo")
    if folder.finished:
        console.print(f"{run} is there already; remove it to train again", markup=False)
    else:
        console.print("training sentiment, duplicate questions and similarity together, from real pretrained weights")
        with going_on(run, "the same command"), Bar() as bar:
            run_training(recipe, run, device=device, resume=folder.begun, listener=bar)
    show_run(run)
    model = load(run, device)
    console.print("\nthree inputs that it has not seen:")
    for task, text in INPUTS.items():
        said = model.predict(task, [text])
        answer = f"{said.scores[0]:.1f} of 5" if not said.labels else f"{said.labels[0]} ({said.scores[0]:.0%})"
        shown = text if isinstance(text, str) else "  |  ".join(text)
        console.print(f"  {task}: {shown}\n    -> {answer}", markup=False)
    console.print("\nyour own data: minbert init a.csv b.csv -o mine.toml, then minbert train mine.toml")

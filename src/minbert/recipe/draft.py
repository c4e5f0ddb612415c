"""The text of a recipe from guesses about data files."""

import os
from collections.abc import Sequence
from pathlib import Path

import tomlkit

from minbert.text.sniff import TaskGuess


def draft(guesses: Sequence[TaskGuess], folder: Path) -> str:
    """The TOML of a recipe: a table per task, everything else a default.

    Args:
        guesses: one per file.
        folder: where the recipe will stand; the files are named relative to it.
    """
    document = tomlkit.document()
    document.add(
        tomlkit.comment("Guessed from the data: check columns, kinds and ranges. docs/recipe.md has all keys.")
    )
    tasks = tomlkit.table(is_super_table=True)
    for guess in guesses:
        task = tomlkit.table()
        for remark in guess.remarks:
            task.add(tomlkit.comment(remark))
        task.add("kind", guess.kind)
        if guess.range:
            low, high = guess.range
            task.add("range", [int(low) if low == int(low) else low, int(high) if high == int(high) else high])
        task.add("train", os.path.relpath(guess.path, folder))
        task.add("text", guess.text[0] if len(guess.text) == 1 else list(guess.text))
        task.add("label", guess.label)
        if guess.format:
            table = tomlkit.inline_table()
            table.update(guess.format.model_dump())
            task.add("format", table)
        tasks.add(guess.name, task)
    document.add("tasks", tasks)
    return tomlkit.dumps(document)

"""The error tree. Every error that minbert raises on purpose is one of these.

```
MinbertError
├── InputError          what was given is wrong; the commands print it and exit with 2
│   ├── DataError       a data file or its rows
│   ├── RecipeError     a recipe, a --set, an experiment
│   ├── WeightsError    a model folder, a digest, a tensor
│   └── RunError        a run folder: missing, unfinished, damaged, in use
├── MissingExtra        a library that belongs to an extra is not installed; exit status 2
├── StorageError        the disk is full or refuses; exit status 1
└── TrainingError       the training itself went wrong (NaN, infinity); exit status 1
```
"""

from collections.abc import Sequence

SHOWN = 20
"""How many faults a message shows; the rest are counted."""


class MinbertError(Exception):
    """The root of all errors that minbert raises on purpose."""

    exit_status = 1


class InputError(MinbertError):
    """Something that was given is wrong. Carries every fault that was found, not just the first.

    Args:
        faults: one line per fault, each with what was expected, what was found and what to do.
    """

    exit_status = 2

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults = (faults,) if isinstance(faults, str) else tuple(faults)
        lines = list(self.faults[:SHOWN])
        if len(self.faults) > SHOWN:
            lines.append(f"... and {len(self.faults) - SHOWN:,} more")
        super().__init__("\n".join(lines))


class DataError(InputError):
    """A data file, or rows in it."""


class RecipeError(InputError):
    """A recipe, a `--set` assignment or a reproduction setting."""


class WeightsError(InputError):
    """A model folder: missing files, a wrong digest, missing or misshapen tensors."""


class RunError(InputError):
    """A run folder: missing, unfinished, damaged, or made by another recipe."""


class MissingExtra(MinbertError):
    """A library that belongs to an extra is not installed."""

    exit_status = 2

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"{library} is not installed; do: pip install 'minbert[{extra}]'")


class StorageError(MinbertError):
    """A write failed: disk full, no permission, short write. What was there before is intact."""


class TrainingError(MinbertError):
    """Training produced NaN or infinity, or could not go on."""

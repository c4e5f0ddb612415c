"""How errors reach the terminal: the message, no traceback, the right exit status."""

import functools
import os
import re
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer

from minbert.errors import DataError, MinbertError

ROW = re.compile(r":\d+: expected (?!a column|one column|the columns|a header)")
"""The fault of a row; what is wrong with a header cannot be skipped."""

P = ParamSpec("P")
T = TypeVar("T")


def told(command: Callable[P, T]) -> Callable[P, T]:
    """Prints minbert's own errors to standard error and exits with their status; 130 after Ctrl-C."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except MinbertError as error:
            typer.echo(f"minbert: {error}" if error.exit_status == 130 else f"error: {error}", err=True)
            if isinstance(error, DataError) and ROW.search(str(error)) and not kwargs.get("skip_bad", True):
                typer.echo("--skip-bad FILE.jsonl writes such rows there and goes on without", err=True)
            raise typer.Exit(error.exit_status) from None
        except KeyboardInterrupt:
            typer.echo("minbert: stopped", err=True)
            raise typer.Exit(130) from None
        except UnicodeEncodeError as error:
            if error.encoding == "utf-8":
                raise
            found = error.object[error.start]
            typer.echo(
                f"error: standard output: expected to write UTF-8, found {error.encoding}, which has no {found!a}; "
                "set PYTHONUTF8=1, or write to a file",
                err=True,
            )
            raise typer.Exit(1) from None
        except BrokenPipeError:
            # The reader of our output has gone (`minbert ... | head`): nothing is left to say to it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None

    return wrapped

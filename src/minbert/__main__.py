"""`python -m minbert` is `minbert`."""

from minbert.cli.main import app

app(prog_name="minbert")

"""With what the run was made: recipe, environment, digests."""

from pathlib import Path

from minbert.reporting.page.html import Html, note, table, tag
from minbert.reporting.page.material import Material
from minbert.reporting.page.section import Section


def recipe(made: Material) -> Section:
    """The whole recipe, defaults written out."""
    return Section("Recipe", "Defaults are written out.", (tag("details", tag("summary", "recipe.toml"), _code(made)),))


def _code(made: Material) -> Html:
    return tag("pre", tag("code", made.recipe.strip()), tabindex="0")


def environment(made: Material) -> Section:
    """Versions, machine, times."""
    rows = [[key, str(value)] for key, value in made.record["environment"].items()]
    if made.times:
        rows.append(["seconds of all epochs", f"{sum(line['seconds'] for line in made.times):,.0f}"])
        rows.append(["peak memory, MiB", f"{max(line['peak_memory_mib'] for line in made.times):,}"])
    return Section("Environment", "", (table(["", "value"], rows, words=2),))


def digests(made: Material) -> Section:
    """SHA-256 of what went in and of what came out."""
    encoder = made.record["encoder"]
    rows = [["recipe", "recipe.toml", _hex(made.record["recipe_sha256"])]]
    rows.append(["encoder as found", str(encoder["source"]), _hex(encoder["sha256"])])
    for task, splits in made.record["files"].items():
        for split, files in splits.items():
            rows += [[f"{task}, {split}", Path(file["path"]).name, _hex(file["sha256"])] for file in files]
    rows += [["best checkpoint", name, _hex(digest)] for name, digest in made.digests.items()]
    counts = [
        f"{task} {', '.join(f'{split} {count:,}' for split, count in splits.items())}"
        for task, splits in made.record["rows"].items()
    ]
    shown = table(["what", "file", "SHA-256"], rows, words=3)
    return Section("Digests", "", (note(f"Rows: {'; '.join(counts)}."), shown))


def _hex(digest: str) -> Html:
    return tag("td", tag("span", digest, class_="digest"))

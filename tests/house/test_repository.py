"""The rules of the house for what stands around the source: recipes, lock files, README, changelog."""

import re
import subprocess
import tomllib
from itertools import takewhile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "minbert"
RECIPES = sorted((PACKAGE / "recipes").rglob("*.toml"))
LOCKS = ["core.txt", "dev.txt", "weights.txt", "mpnet.txt"]
MACHINE = re.compile(r"(?<![\w.}~-])/(?:work|root|opt|home|Users)/[\w.]|\b[A-Z]:\\Users\\")
INDEX = re.compile(r"\b(?:pypi\.(?:org|python)|files\.pythonhosted|download\.pytorch)\b")


def tracked_files() -> list[Path]:
    """What is in the repository or about to be: tracked files, and new ones that are not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        return []
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def lines_with(pattern: re.Pattern[str], text: str) -> list[str]:
    return [f"line {number}: {line}" for number, line in enumerate(text.splitlines(), 1) if pattern.search(line)]


def tree_paths(readme: str) -> list[str]:
    """The paths in the README's tree: the names that begin a line, beneath the nearest less indented folder."""
    block = re.search(r"^```\w*\n(src/minbert/.*?)^```", readme, re.DOTALL | re.MULTILINE)
    paths: list[str] = []
    parents: list[tuple[int, str]] = []
    for line in block.group(1).splitlines() if block else []:
        bare = re.sub("[│├└─]", " ", line)
        indent = len(bare) - len(bare.lstrip())
        names = list(takewhile(re.compile(r"[\w./-]+(?:/|\.\w+)").fullmatch, bare.split()))
        parents = [(depth, folder) for depth, folder in parents if depth < indent]
        found = [(parents[-1][1] if parents else "") + name for name in names]
        parents += [(indent, folder) for folder in found if folder.endswith("/")]
        paths += found
    return paths


def test_no_file_names_a_machine_or_an_index() -> None:
    files = tracked_files()
    if not files:
        pytest.skip("not a git checkout")
    faults = []
    for path in files:
        content = path.read_bytes()
        if b"\0" not in content:
            text = content.decode("utf-8", errors="replace")
            found = lines_with(MACHINE, text) + lines_with(INDEX, text)
            faults += [f"{path.relative_to(ROOT)}: {line}" for line in found]
    assert faults == []


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_recipe_is_toml(path: Path) -> None:
    assert tomllib.loads(path.read_text(encoding="utf-8"))


def test_there_are_recipes() -> None:
    assert RECIPES


@pytest.mark.parametrize("name", LOCKS)
def test_lock_file_pins_and_hashes_everything(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8").replace("\\\n", "")
    entries = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert entries
    assert [entry for entry in entries if not re.match(r"[\w.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry)] == []
    assert [entry for entry in entries if re.match(r"(?:torch=|triton|nvidia|cuda)", entry)] == []


def pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


def test_lock_files_agree() -> None:
    assert pins("core.txt").items() <= pins("dev.txt").items()
    both = pins("bench.txt").keys() & pins("dev.txt").keys()
    assert {name: pins("bench.txt")[name] for name in both} == {name: pins("dev.txt")[name] for name in both}


def test_lock_files_hold_what_the_project_asks_for() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = [wish for wishes in table["project"]["optional-dependencies"].values() for wish in wishes]
    names = {re.match(r"[\w.-]+", wish).group() for wish in table["project"]["dependencies"]}
    assert names - pins("core.txt").keys() == {"torch"}
    locked = pins("dev.txt").keys() | pins("bench.txt").keys()
    assert {re.match(r"[\w.-]+", wish).group() for wish in extras} - locked == {"minbert"}


def test_changelog_knows_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    headings = re.findall(r"^## .*$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert any(re.search(rf"\b{re.escape(version)}\b", heading) for heading in headings)


def test_readme_shows_the_tree_as_it_is() -> None:
    paths = tree_paths((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(paths) > 1
    assert [path for path in paths if not (ROOT / path).exists()] == []


TREE = """\
# minbert
```
src/minbert/
  errors.py  shapes.py   the ground
  text/    example  readers
    deeper/  and
├─cli/     one file per command, see main.py
tests/  unit/laws
examples/one_page.py   all of it
```
"""


def test_tree_paths_reads_nested_and_shared_lines() -> None:
    package = ["errors.py", "shapes.py", "text/", "text/deeper/", "cli/"]
    assert tree_paths(TREE) == [
        "src/minbert/",
        *(f"src/minbert/{name}" for name in package),
        "tests/",
        "examples/one_page.py",
    ]


def test_no_tree_no_paths() -> None:
    assert tree_paths("# minbert\n```\nmake demo\n```\n") == []


@pytest.mark.parametrize("line", ["/home" + "/me/data", "see /work" + "/main", "C:" + "\\Users\\me"])
def test_machine_paths_are_found(line: str) -> None:
    assert lines_with(MACHINE, line)


@pytest.mark.parametrize("line", ["https://example.org/home/page", "docs/work/plan.md", "~/data", "../root/x"])
def test_other_paths_pass(line: str) -> None:
    assert not lines_with(MACHINE, line)


@pytest.mark.parametrize("host", ["pypi" + ".org", "files.python" + "hosted.org"])
def test_index_hosts_are_found(host: str) -> None:
    assert lines_with(INDEX, f"https://{host}/simple")

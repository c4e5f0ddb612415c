"""The documents run, and what they name is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "examples" / "one_page.py"
DOCUMENTS = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md"])


def test_the_snippets_of_learn_run_in_order(minilm: Path) -> None:
    text = (ROOT / "docs" / "learn.md").read_text(encoding="utf-8")
    namespace: dict[str, object] = {}
    snippets = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(snippets) == len(re.findall(r"^## \d+\. ", text, re.MULTILINE)) == 12
    for snippet in snippets:
        exec(compile(snippet, "docs/learn.md", "exec"), namespace)


def test_the_whole_idea_fits_on_a_page_and_runs(minilm: Path) -> None:
    assert len(PAGE.read_text(encoding="utf-8").splitlines()) <= 60
    done = subprocess.run([sys.executable, str(PAGE), "2"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("\n") >= 3


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_names_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
    missing = [link for link in links if not (document.parent / link).exists()]
    missing += [name for name in re.findall(r"`(tests/[\w/.]+\.py)`", text) if not (ROOT / name).exists()]
    assert not missing

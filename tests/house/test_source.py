"""The rules of the house for the source: sizes, names, what is forbidden, what must be said."""

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "minbert"
FILES = sorted(PACKAGE.rglob("*.py"))
FILE_LINES, FUNCTION_LINES = 300, 40
VAGUE_NAMES = {"utils", "util", "common", "commons", "helpers", "helper", "manager", "managers", "base"}
UNSAFE_MODULES = {"pickle", "cloudpickle", "dill", "marshal", "shelve"}
UNSAFE_CALLS = {"eval", "exec", "torch.load", "joblib.load"}
LAZY = ("cli/", "__init__.py")  # here an own import may stand inside a function

Function = ast.FunctionDef | ast.AsyncFunctionDef
Rule = Callable[[ast.Module], Iterator[str]]


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def imported(node: ast.AST) -> list[str]:
    """The modules that an import statement names; none for anything else."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return ["." * node.level + (node.module or "")]
    return []


def long_functions(tree: ast.Module) -> Iterator[str]:
    for function in functions(tree):
        first = function.body[0]
        docstring = first.end_lineno - first.lineno + 1 if ast.get_docstring(function) is not None else 0
        lines = function.end_lineno - function.lineno + 1 - docstring
        if lines > FUNCTION_LINES:
            yield f"line {function.lineno}: {function.name} has {lines} lines, at most {FUNCTION_LINES} are allowed"


def unsafe(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        names = {name.split(".")[0] for name in imported(node)} & UNSAFE_MODULES
        if isinstance(node, ast.Call) and ast.unparse(node.func) in UNSAFE_CALLS:
            names.add(ast.unparse(node.func))
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} & UNSAFE_CALLS
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
            names.add("allow_pickle")
        if names:
            yield f"line {node.lineno}: {', '.join(sorted(names))} can run code from a file"


def swallowed(tree: ast.Module) -> Iterator[str]:
    broad = {"", "Exception", "BaseException"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else ""
            if caught in broad and all(isinstance(line, ast.Pass | ast.Continue | ast.Expr) for line in node.body):
                yield f"line {node.lineno}: `except {caught}` swallows every error"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("suppress", "contextlib.suppress"):
            for caught in {ast.unparse(argument) for argument in node.args} & broad:
                yield f"line {node.lineno}: suppress({caught}) swallows every error"


def undocumented(tree: ast.Module) -> Iterator[str]:
    if not ast.get_docstring(tree):
        yield "the module has no docstring"
    named = [node for node in tree.body if isinstance(node, ast.ClassDef | Function)]
    for node in named:
        if not node.name.startswith("_") and not ast.get_docstring(node):
            yield f"line {node.lineno}: {node.name} has no docstring"


def late_imports(tree: ast.Module) -> Iterator[str]:
    for function in functions(tree):
        for node in ast.walk(function):
            for name in imported(node):
                if name.startswith(("minbert", ".")):
                    yield f"line {node.lineno}: {name} is imported inside {function.name}"


def postponed_annotations(tree: ast.Module) -> Iterator[str]:
    if any("__future__" in imported(node) for node in ast.walk(tree)):
        yield "`from __future__` turns annotations into strings, and shapes are no longer checked"


def more_than_exports(tree: ast.Module) -> Iterator[str]:
    """An `__init__.py` holds its docstring, imports, `__all__` and a family's union, and nothing else."""
    for node in tree.body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        union = isinstance(getattr(node, "value", None), ast.Subscript | ast.BinOp)
        if not (docstring or imported(node) or names == {"__all__"} or (names and union)):
            yield f"line {node.lineno}: `{ast.unparse(node).splitlines()[0]}` belongs in a module of its own"


def more_than_lazy_exports(tree: ast.Module) -> Iterator[str]:
    """The package's own `__init__.py` may also hold `__version__` and what a lazy `__getattr__` needs."""
    lazy = {"__getattr__", "__dir__"}
    body = [node for node in tree.body if getattr(node, "name", None) not in lazy]
    body = [node for node in body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))]
    constants = [node for node in body if isinstance(node, ast.Assign | ast.AnnAssign)]
    named = [node for node in constants if re.match(r"_+[A-Za-z]+\w*\b", ast.unparse(node))]
    yield from more_than_exports(ast.Module([node for node in body if node not in named], []))


RULES: list[Rule] = [long_functions, unsafe, swallowed, undocumented, late_imports, postponed_annotations]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def test_there_is_source() -> None:
    assert FILES


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_source_keeps_the_rule(path: Path, rule: Rule) -> None:
    if rule is late_imports and name_of(path).startswith(LAZY):
        return
    assert list(rule(tree_of(path))) == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_file_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= FILE_LINES


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_name_says_what_is_inside(path: Path) -> None:
    words = {word for part in path.relative_to(PACKAGE).with_suffix("").parts for word in part.split("_")}
    assert not words & VAGUE_NAMES


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "__init__.py"], ids=name_of)
def test_init_holds_only_exports(path: Path) -> None:
    rule = more_than_lazy_exports if path.parent == PACKAGE else more_than_exports
    assert list(rule(tree_of(path))) == []


BROKEN = [
    (long_functions, "def f():\n    '''Two\n    lines.'''\n" + "    x = 1\n" * FUNCTION_LINES),
    (unsafe, "import pickle"),
    (unsafe, "from cloudpickle import loads"),
    (unsafe, "from torch import load"),
    (unsafe, "torch.load('x', weights_only=True)"),
    (unsafe, "eval('1')"),
    (unsafe, "np.load('x', allow_pickle=True)"),
    (swallowed, "try:\n    f()\nexcept:\n    pass"),
    (swallowed, "try:\n    f()\nexcept Exception:\n    ..."),
    (swallowed, "with contextlib.suppress(Exception):\n    f()"),
    (undocumented, "x = 1"),
    (undocumented, "'''Module.'''\ndef f(): ..."),
    (undocumented, "'''Module.'''\nclass C: ..."),
    (late_imports, "def f():\n    from minbert.text import Packed"),
    (late_imports, "def f():\n    from . import text"),
    (postponed_annotations, "from __future__ import annotations"),
    (more_than_exports, "def f(): ..."),
    (more_than_exports, "TABLE = {}"),
    (more_than_exports, "import torch\ntorch.manual_seed(0)"),
    (more_than_lazy_exports, "def f(): ..."),
    (more_than_lazy_exports, "TABLE = {}"),
]
SOUND = [
    (long_functions, "def f():\n    '''Two\n    lines.'''\n" + "    x = 1\n" * (FUNCTION_LINES - 1)),
    (unsafe, "model.eval()\nnp.load('x', allow_pickle=False)"),
    (
        swallowed,
        "try:\n    f()\nexcept ValueError:\n    pass\nexcept Exception as error:\n    raise E from error",
    ),
    (undocumented, "'''Module.'''\ndef _f(): ..."),
    (late_imports, "from minbert.text import Packed\ndef f():\n    import torch"),
    (
        more_than_exports,
        "'''Family.'''\nfrom a import A, B\n__all__ = ['A', 'B']\nAny = Annotated[A | B, 1]\nC = A | B",
    ),
    (more_than_lazy_exports, "__version__ = '1'\n_HOMES = {'A': 'a'}\ndef __getattr__(name): ..."),
]


def names_of(cases: list[tuple[Rule, str]]) -> list[str]:
    return [f"{rule.__name__}-{index}" for index, (rule, _) in enumerate(cases)]


@pytest.mark.parametrize(("rule", "source"), BROKEN, ids=names_of(BROKEN))
def test_rule_finds_a_fault(rule: Rule, source: str) -> None:
    assert list(rule(ast.parse(source)))


@pytest.mark.parametrize(("rule", "source"), SOUND, ids=names_of(SOUND))
def test_rule_lets_sound_code_pass(rule: Rule, source: str) -> None:
    assert list(rule(ast.parse(source))) == []

"""Wrong recipes: each fault with file, line, path, what was expected and found, and what to do; all at once."""

from pathlib import Path

import pytest

from minbert.errors import SHOWN, RecipeError
from minbert.recipe import Recipe, check_recipe, line_of

TASKS = """\
[tasks.topic]
kind = "classes"
text = "body"
label = "category"
train = "t.csv"
[tasks.pair]
kind = "yes_no"
text = ["a", "b"]
label = "same"
train = "q.csv"
[tasks.rating]
kind = "rating"
range = [0, 5]
text = ["a", "b"]
label = "score"
train = "s.csv"
"""
LINES = len(TASKS.splitlines())


def faults(folder: Path, text: str) -> list[str]:
    path = folder / "mine.toml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        Recipe.load(path)
    assert caught.value.exit_status == 2
    return [fault.removeprefix(f"{path}:") for fault in caught.value.faults]


# What stands in [stages.train]; the path behind it; what is said.
STAGE = [
    ("epoch = 3", "epoch", "expected no such key; did you mean 'epochs'? known: tasks, epochs, samples, "),
    ("epochs = 0", "epochs", "greater than or equal to 1, found 0"),
    ("epochs = 1.5", "epochs", "found 1.5"),
    ('epochs = "three"', "epochs", "found 'three'"),
    ("lr = 0", "lr", "greater than 0, found 0"),
    ("lr = inf", "lr", "finite number, found inf"),
    ("lr = nan", "lr", "finite number, found nan"),
    ('draw = "onec"', "draw", "'stream' or 'once', found 'onec'"),
    ("batch.topic = 0", "batch.topic", "greater than or equal to 1, found 0"),
    ("samples = { pair = -1 }", "samples.pair", "greater than or equal to 0, found -1"),
    ("weight = { pari = 2 }", "weight.pari", "expected a task of this recipe (topic, pair, rating), found 'pari'"),
    ('tasks = ["topic", "tpoic"]', "tasks", "expected a task of this recipe (topic, pair, rating), found 'tpoic'"),
    ('losses = "bce"', "losses", "valid dictionary, found 'bce'"),
    ('losses.pair = "bec"', "losses.pair", "unknown kind 'bec'; did you mean 'bce'? known: cross_entropy, bce, "),
    ("losses.pair = []", "losses.pair", "found []"),
    ("losses.pair = 3", "losses.pair", "expected a name or a table with a `kind`; known: cross_entropy, bce, "),
    ('losses.pair = { kind = "mnr", scale = 0 }', "losses.pair.scale", "greater than 0, found 0"),
    ('losses.pair = ["bce", { kind = "mnr", scael = 1 }]', "losses.pair.scael", "did you mean 'scale'?"),
    ('losses = { "p(" = "bce" }', "losses.p(", "expected a task of this recipe"),
    ('losses.pair = "cross_entropy"', "losses.pair", "is for kind classes, found a task of kind 'yes_no'"),
    ('losses.topic = ["cross_entropy", "mnr"]', "losses.topic", "'mnr' is for kind rating or yes_no"),
    ('merge = "my.module.Merge"', "merge", "unknown kind 'my.module.Merge'; known: sum, mean, pcgrad, "),
    ('merge = { kind = ["sum"] }', "merge", "unknown kind '['sum']'"),
    ('merge = { kind = "sum", power = 1 }', "merge.power", "expected no such key; known: kind"),
    ("merge = {}", "merge", "expected a name or a table with a `kind`"),
    ('mixture = { kind = "sequentiel" }', "mixture", "did you mean 'sequential'?"),
    (
        "mixture = { kind = 'temperature', temperature = 0.5 }",
        "mixture.temperature",
        "greater than or equal to 1, found 0.5",
    ),
    ("mixture = { kind = 'annealed', final = 2 }", "mixture.final", "less than or equal to 1, found 2"),
    ("mixture = { kind = 'fixed', shares = { pair = 0 } }", "mixture.shares.pair", "greater than 0, found 0"),
    (
        "mixture = { kind = 'fixed', shares = { pari = 1 } }",
        "mixture.shares.pari",
        "(topic, pair, rating), found 'pari'",
    ),
    (
        "regularizers = 'r_drop'\nbatches_per_step = 3\nweighting = 'famo'",
        "regularizers",
        "none beside weighting 'famo', found 'r_drop'",
    ),
    ("mixture = 'progress'", "mixture", "found select.on = 'dev'; set select.on to a share such as 0.05"),
    ("losses.topic = { kind = 'focal', gamma = -1 }", "losses.topic.gamma", "greater than or equal to 0, found -1"),
    ("losses.topic = { kind = 'class_balanced', beta = 1 }", "losses.topic.beta", "less than 1, found 1"),
    ("losses.pair = { kind = 'bce', smoothing = 1 }", "losses.pair.smoothing", "less than 1, found 1"),
    ("losses.pair = 'pearson'", "losses.pair", "is for kind rating, found a task of kind 'yes_no'"),
    ("losses.topic = 'cosent'", "losses.topic", "is for kind rating or yes_no, found a task of kind 'classes'"),
    ('update = ["encoder[x:]"]', "update", "'encoder[4:]' (layers from the fourth), 'adapters' or 'heads', found"),
    ("update = []", "update", "found []"),
    ("schedule = { kind = 'linear', warmup = 2 }", "schedule.warmup", "less than or equal to 1, found 2"),
    ("optimizer = { kind = 'adamw', betas = [0.9, 1.0] }", "optimizer.betas", "less than 1, found 1.0"),
    ('merge = "pcgrad"', "merge", "with one task in a step it changes nothing; set batches_per_step"),
    ('merge = { kind = "gradvac", beta = 1 }', "merge.beta", "less than 1, found 1"),
    ('merge = { kind = "cagrad", c = -1 }', "merge.c", "greater than or equal to 0, found -1"),
    ('merge = { kind = "fairgrad", alpha = 0 }', "merge.alpha", "greater than or equal to 0.5, found 0"),
    ('merge = { kind = "aligned_mtl", scale = "max" }', "merge.scale", "'min', 'median' or 'rmse', found 'max'"),
    ('weighting = "famos"', "weighting", "unknown kind 'famos'; did you mean 'famo'? known: equal, uncertainty, "),
    ('weighting = { kind = "uncertainty", lr = 0 }', "weighting.lr", "greater than 0, found 0"),
    ('weighting = { kind = "dwa", temperature = 0 }', "weighting.temperature", "greater than 0, found 0"),
    ('weighting = "famo"', "weighting", "with one task in a step it changes nothing; set batches_per_step"),
    ('weighting = "dwa"\nepochs = 2', "weighting", "expected 3 epochs or more for 'dwa', found 2: it compares the two"),
    (
        'weighting = "gradnorm"\nbatches_per_step = 3\nupdate = "heads"',
        "weighting",
        "expected shared weights that are trained for 'gradnorm', found none; add 'encoder' to update",
    ),
    (
        'merge = "pcgrad"\nbatches_per_step = 3\nupdate = "heads"',
        "merge",
        "expected weights that tasks share in update, found ['heads']: there it changes nothing; add 'encoder'",
    ),
    (
        'conflicts_every = 1\nbatches_per_step = 3\nupdate = "heads"',
        "conflicts_every",
        "expected weights that tasks share in update, found ['heads']: there it changes nothing; add 'encoder'",
    ),
    (
        'weighting = "famo"\nupdate = "heads"',
        "weighting",
        "with one task in a step it changes nothing; set batches_per_step",
    ),
    ("conflicts_every = 10", "conflicts_every", "with one task in a step nothing conflicts; set batches_per_step"),
    (
        'regularizers = "smrat"',
        "regularizers",
        "unknown kind 'smrat'; did you mean 'smart'? known: smart, smart_released",
    ),
    ('regularizers = { kind = "smart", epsilon = 0 }', "regularizers.epsilon", "greater than 0, found 0"),
    ('regularizers = { kind = "smart", rate = 0 }', "regularizers.rate", "greater than 0, found 0"),
    ('regularizers = ["r_drop", { kind = "smart", epislon = 1 }]', "regularizers.epislon", "did you mean 'epsilon'?"),
    ('regularizers = { kind = "r_drop", tasks = "pari" }', "regularizers", "'r_drop': expected a task of this recipe"),
    ('regularizers = "r_drop"\nupdate = "heads"', "regularizers", "expected an encoder that moves for 'r_drop', found"),
    ('average = "emma"', "average", "unknown kind 'emma'; did you mean 'ema'?"),
    ('average = { kind = "ema", decay = 1 }', "average.decay", "less than 1, found 1"),
    ('optimizer = { kind = "adamw", towards = "begin" }', "optimizer.towards", "'zero' or 'start', found 'begin'"),
    ("conflicts_every = -1", "conflicts_every", "greater than or equal to 0, found -1"),
]


@pytest.mark.parametrize(("line", "path", "said"), STAGE, ids=[line for line, _, _ in STAGE])
def test_in_a_stage(tmp_path: Path, line: str, path: str, said: str) -> None:
    (fault,) = faults(tmp_path, f"{TASKS}[stages.train]\n{line}\n")
    assert fault.startswith(f"{LINES + 2}: stages.train.{path}: ")
    assert said in fault


# What stands in place of the first task's label; the path; what is said.
TASK = [
    ('labell = "y"', "label", "expected this key, found none; it is required"),
    ('labell = "y"', "labell", "expected no such key; did you mean 'label'?"),
    ("label = 3", "label", "found 3"),
    ('label = "y"\nhead = "lineer"', "head", "unknown kind 'lineer'; did you mean 'linear'?"),
    ('label = "y"\nhead = "os.system"', "head", "unknown kind 'os.system'"),
    ('label = "y"\nhead = { kind = "linear", dropuot = 0 }', "head.dropuot", "did you mean 'dropout'? known: kind, "),
    ('label = "y"\nhead = "concat"', "head", "'concat' reads two texts, found one `text` column; use 'linear'"),
    ('label = "y"\nmetric = "pearson"', "metric", "expected one of accuracy, macro_f1 for kind 'classes'"),
    ('label = "y"\nrange = [0, 1]', "range", "expected no such key"),
    ('label = "y"\ndev = 1.5', "dev", "less than 1, found 1.5"),
    ('label = "y"\nlimit = -1', "limit", "found -1"),
    ('label = "y"\nformat = { kind = "csv", seperator = ";" }', "format.seperator", "did you mean 'separator'?"),
    ('label = "y"\nformat = { kind = "csv", encoding = "utf8000" }', "format.encoding", "found 'utf8000'"),
    ('label = "y"\ntest = 3', "test", "found 3"),
]


@pytest.mark.parametrize(("lines", "path", "said"), TASK, ids=[lines.splitlines()[-1] for lines, _, _ in TASK])
def test_in_a_task(tmp_path: Path, lines: str, path: str, said: str) -> None:
    found = faults(tmp_path, TASKS.replace('label = "category"', lines, 1))
    assert any(f": tasks.topic.{path}: " in fault and said in fault for fault in found)
    assert all(1 <= int(fault.split(":")[0]) <= LINES + 1 for fault in found)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ('"yes_no"', '"yesno"', 6, "tasks.pair: unknown kind 'yesno'; did you mean 'yes_no'?"),
        ('kind = "yes_no"\n', "", 6, "tasks.pair: expected a name or a table with a `kind`; known: classes, "),
        ("[0, 5]", "[5, 0]", 13, "tasks.rating.range: expected [low, high] with low below high, found [5.0, 0.0]"),
        ("range = [0, 5]\n", "", 11, "tasks.rating.range: expected this key, found none; it is required"),
        ('["a", "b"]', '["a", "b", "c"]', 8, "tasks.pair.text: "),
        ("[tasks.topic]", '[tasks."my topic"]', 1, "tasks.my topic: expected a name of letters, digits, - and _"),
        ("[tasks.topic]", "seeed = 3\n[tasks.topic]", 1, "seeed: expected no such key; did you mean 'seed'?"),
        ("[tasks.topic]", "seed = -1\n[tasks.topic]", 1, "seed: "),
        ("[tasks.topic]", "[encoder]\nsorce = 'x'\n[tasks.topic]", 2, "encoder.sorce: expected no such key; did you"),
        ("[tasks.topic]", "[encoder]\nmax_tokens = 4\n[tasks.topic]", 2, "encoder.max_tokens: "),
        ("[tasks.topic]", "encoder = 'x'\n[tasks.topic]", 1, "encoder: "),
        ("[tasks.topic]", "[select]\non = 'train'\n[tasks.topic]", 2, "select.on: "),
        ("[tasks.topic]", "[select.weights]\npari = 1\n[tasks.topic]", 2, "select.weights.pari: expected a task ("),
    ],
)
def test_elsewhere(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    found = faults(tmp_path, TASKS.replace(old, new, 1))
    assert any(fault.startswith(f"{line}: {said}") for fault in found)


def test_without_tasks_nothing_can_be_done(tmp_path: Path) -> None:
    assert faults(tmp_path, "seed = 3\n") == [f" tasks: {'expected this key, found none; it is required'}"]
    assert faults(tmp_path, "[tasks]\n")[0].startswith("1: tasks: ")
    assert faults(tmp_path, "tasks = 3\n")[0].startswith("1: tasks: ")


@pytest.mark.parametrize(
    ("text", "line"), [("a = 1\n[b\n", 2), ("a = \n", 1), ("a = 1\na = 2\n", 2), ("a = 1\nb = [\n\n", 3)]
)
def test_what_is_no_toml_is_named_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    assert faults(tmp_path, text)[0].startswith(f"{line}: expected TOML, found: ")


def test_all_faults_of_all_tables_come_at_once(tmp_path: Path) -> None:
    text = TASKS.replace('"category"', "3").replace('"same"', "4") + "[stages.train]\nlr = 0\n[select]\non = 2\n"
    found = faults(tmp_path, text)
    paths = {fault.split(": ")[1] for fault in found}
    assert paths == {"tasks.topic.label", "tasks.pair.label", "stages.train.lr", "select.on"}


def test_all_misfits_come_at_once(tmp_path: Path) -> None:
    stage = '[stages.{}]\ntasks = ["x"]\nbatch.y = 1\nlosses.topic = "mse"\n'
    found = faults(tmp_path, TASKS + stage.format("one") + stage.format("two"))
    assert len(found) == 6 and len(set(found)) == 6


def test_a_message_shows_some_and_counts_the_rest(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        check_recipe({f"key{i}": 1 for i in range(SHOWN + 5)}, tmp_path)
    assert len(caught.value.faults) == SHOWN + 6
    assert str(caught.value).endswith("... and 6 more")


@pytest.mark.parametrize(
    ("path", "line"),
    [("a", 1), ("b.c", 3), ("b.d.e", 4), ("b.f.g", 5), ("b.f.h", 0), ("b.lr", 6), ("b", 2), ("i.j.k", 8), ("l", 0)],
)
def test_line_of_a_path(path: str, line: int) -> None:
    text = "a = 1\n[b] # [x]\nc = 2\nd.e = 3\nf = { g = 1 }\nlr = 1\n[i.j]\nk = 'b = 1'\n"
    assert line_of(text, path.split(".")) == line

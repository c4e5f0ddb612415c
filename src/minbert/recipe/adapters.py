"""Whether the adapters of a recipe and its stages fit each other."""

from collections import Counter
from collections.abc import Mapping, Sequence

from minbert.encoder import Adapter
from minbert.recipe.stage import Stage


def adapter_faults(adapters: Sequence[Adapter], stages: Mapping[str, Stage]) -> list[tuple[str, str]]:
    """What does not fit: (path, expected, found, remedy)."""
    found = [
        ("encoder.adapters", f"expected each kind once, found {kind!r} {count} times; leave one")
        for kind, count in Counter(adapter.kind for adapter in adapters).items()
        if count > 1
    ]
    training = [name for name, stage in stages.items() if "adapters" in stage.update]
    if adapters and stages and not training:
        found.append(
            ("encoder.adapters", "expected a stage that trains them, found none; add 'adapters' to an `update`")
        )
    for name in [] if adapters else training:
        # The default names all parts, as does whoever writes it out.
        if not any(part.startswith("encoder") for part in stages[name].update):
            said = "expected adapters to train, found encoder.adapters = []; name some there, or leave 'adapters' out"
            found.append((f"stages.{name}.update", said))
    return found

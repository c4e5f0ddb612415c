"""Values and families."""

from typing import Annotated, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from minbert.values import Family, Value, nearest


class Shape(Value):
    kind: str
    size: float = 1.0


class Round(Shape):
    kind: Literal["round"] = "round"


class Square(Shape):
    kind: Literal["square"] = "square"
    corners: tuple[float, float] = (0.0, 0.0)


class Own(Shape):
    kind: str = "own"


class Other(Value):
    kind: Literal["round"] = "round"


AnyShape = Annotated[Shape, Family(Round, Square)]
one = TypeAdapter(AnyShape)


class Page(Value):
    shape: AnyShape = Round()
    more: dict[str, tuple[AnyShape, ...]] = {}


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("round", Round()),
        ({"kind": "round"}, Round()),
        ({"kind": "square", "size": 2, "corners": [1, 2]}, Square(size=2, corners=(1, 2))),
        (Square(size=3), Square(size=3)),
        (Own(size=4), Own(size=4)),
    ],
)
def test_a_family_takes_a_name_a_table_or_an_instance(given: object, value: Shape) -> None:
    found = one.validate_python(given)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("sqare", "unknown kind 'sqare'; did you mean 'square'? known: round, square"),
        ("own", "unknown kind 'own'; known: round, square"),
        (f"{__name__}.Own", "unknown kind"),
        ({"size": 1}, "expected a name or a table with a `kind`; known: round, square"),
        (3, "expected a name or a table with a `kind`"),
        (None, "expected a name or a table with a `kind`"),
        (["round"], "expected a name or a table with a `kind`"),
        (Other(), "expected a name or a table with a `kind`"),
        ({"kind": ["round"]}, "unknown kind"),
        ({"kind": None}, "unknown kind 'None'"),
        ({"kind": "round", "corners": [1, 2]}, "Extra inputs are not permitted"),
        ({"kind": "square", "corners": [1]}, "corners.1"),
    ],
)
def test_what_a_family_refuses_it_names(given: object, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        one.validate_python(given)
    assert said in str(caught.value)


def test_what_is_written_out_comes_in_again() -> None:
    page = Page(shape=Square(corners=(1, 2)), more={"a": (Round(), Square(size=9))})
    table = page.model_dump(mode="json")
    assert table["shape"] == {"kind": "square", "size": 1.0, "corners": [1.0, 2.0]}
    assert Page.model_validate(table) == page
    assert Page.model_validate_json(page.model_dump_json()) == page


def test_a_member_written_out_keeps_the_keys_of_its_own_class() -> None:
    assert Page(shape=Own(size=4)).model_dump()["shape"] == {"kind": "own", "size": 4.0}


def test_a_family_knows_its_members_by_kind() -> None:
    assert AnyShape.__metadata__[0].members == {"round": Round, "square": Square}  # type: ignore[attr-defined]


def test_values_are_frozen_compared_by_content_and_can_be_keys() -> None:
    value = Square(size=2)
    with pytest.raises(ValidationError, match="frozen"):
        value.size = 3
    assert value == Square(size=2) != Square(size=3) and len({value, Square(size=2)}) == 1


@pytest.mark.parametrize("size", [float("nan"), float("inf"), "wide", None])
def test_numbers_are_finite(size: object) -> None:
    with pytest.raises(ValidationError, match="size"):
        Round(size=size)  # type: ignore[arg-type]


def test_nearest() -> None:
    assert nearest("sqare", ["round", "square"]) == "did you mean 'square'? known: round, square"
    assert nearest("xyz", ["round", "square"]) == "known: round, square"
    assert nearest("", ["round"]) == "known: round"

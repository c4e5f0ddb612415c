"""What a value is: frozen, validated when made, and its own configuration.

A *family* (losses, heads, merges, ...) is an abstract base class and its members. A member has a `kind`; what stands
in the TOML is the object: `"pcgrad"` is `{ kind = "pcgrad" }`. From Python any instance of the base class will do.
"""

import difflib
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


class Value(BaseModel):
    """A frozen, validated value that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)


def listed(given: Any) -> Any:
    """Where a list stands, one value is a list of one."""
    return given if isinstance(given, list | tuple) else [given]


def nearest(word: str, words: list[str]) -> str:
    """The remedy for an unknown word: the nearest known one, if one is near, and the list."""
    near = difflib.get_close_matches(word, words, n=1)
    return (f"did you mean {near[0]!r}? " if near else "") + "known: " + ", ".join(words)


class Family:
    """Annotation that lets a field take any member of a family: `Annotated[Loss, Family(CrossEntropy, ...)]`.

    Accepts the kind as a string, a table with a `kind`, or an instance of the annotated base class.

    Args:
        members: the value classes; each has `kind: Literal["..."] = "..."`.
    """

    def __init__(self, *members: type[BaseModel]) -> None:
        self.members = {str(member.model_fields["kind"].default): member for member in members}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The schema: an instance passes, a string becomes a table, a table is checked by the member it names."""
        choices = {kind: handler.generate_schema(member) for kind, member in self.members.items()}
        tables = core_schema.tagged_union_schema(choices, discriminator="kind")

        def accept(given: Any, check: Callable[[Any], Any]) -> Any:
            if isinstance(given, source):
                return given
            table = {"kind": given} if isinstance(given, str) else given
            if not isinstance(table, dict) or "kind" not in table:
                raise PydanticCustomError(
                    "family", "expected a name or a table with a `kind`; {known}", {"known": nearest("", list(choices))}
                )
            if not isinstance(table["kind"], str) or table["kind"] not in choices:
                remedy = nearest(str(table["kind"]), list(choices))
                raise PydanticCustomError(
                    "family", "unknown kind '{kind}'; {remedy}", {"kind": str(table["kind"]), "remedy": remedy}
                )
            return check(table)

        return core_schema.no_info_wrap_validator_function(
            accept,
            tables,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value.model_dump()),
        )

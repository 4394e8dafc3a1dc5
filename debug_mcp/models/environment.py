"""Variables of commands: what a caller may set, by name."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

VARIABLES = 200


def _as_text(value: object) -> object:
    """Take 1 for "1": models write numbers where an environment has only texts."""
    return str(value) if isinstance(value, int | float) else value


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("holds a NUL character")
    return value


EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,199}$")]
EnvironmentValue = Annotated[str, BeforeValidator(_as_text), AfterValidator(_without_nul)]
Environment = Annotated[dict[EnvironmentName, EnvironmentValue], Field(max_length=VARIABLES)]

"""The variables of a command: its repository's, its session's over them, its own over both."""

from collections.abc import Mapping

from debug_mcp.errors import InvalidInput
from debug_mcp.models.environment import VARIABLES


def together(*layers: Mapping[str, str]) -> dict[str, str]:
    """Return all variables; where layers have the same name, the last of them counts.

    Raises:
        InvalidInput: They are more than a command can have.
    """
    variables = {name: value for layer in layers for name, value in layer.items()}
    if len(variables) > VARIABLES:
        raise InvalidInput(
            f"env: {len(variables)} variables with those of the repository and the session; the "
            f"limit is {VARIABLES}",
            field="env",
        )
    return variables

"""What an operator allows as a destination: a network, or a host by its name."""

from typing import Annotated

from pydantic import Field, IPvAnyNetwork

Destination = Annotated[
    IPvAnyNetwork | Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")],
    Field(union_mode="left_to_right"),
]

"""Numbers of settings, with the most that they can be."""

from typing import Annotated

from pydantic import Field

# Nobody means more, and beyond it a number fits into no file offset, no date or no system call.
Bytes = Annotated[int, Field(le=1 << 60)]
Count = Annotated[int, Field(le=1_000_000_000)]
Rate = Annotated[float, Field(le=1_000_000_000)]
Days = Annotated[float, Field(le=36_500)]
Seconds = Annotated[float, Field(le=36_500 * 24 * 3600)]
WholeSeconds = Annotated[int, Field(le=36_500 * 24 * 3600)]

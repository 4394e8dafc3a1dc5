"""Evidence bundles: all that a claim stands on, in one archive."""

from typing import Annotated

from pydantic import Field

from debug_mcp.models.base import Arguments, View


class EvidenceBundle(Arguments):
    """Arguments of ``evidence_bundle``."""

    evidence_id: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="of a command, a comparison, a flaky run or a bisection that has ended"
    )


class BundleView(View):
    """A bundle, kept as an artifact; ``commands`` counts the runs that are in it."""

    evidence_id: str
    artifact_id: str
    name: str
    size: int
    sha256: str
    commands: int

"""The URIs of resources: which there are, and to which object one belongs."""

from dataclasses import dataclass

from debug_mcp.errors import NotFound

ARTIFACT = "artifact://{artifact_id}/{+name}"
OUTPUT = "output://{command_id}"
STDERR = "output://{command_id}/stderr"
DIFF = "session://{session_id}/diff"
TEMPLATES = (ARTIFACT, OUTPUT, STDERR, DIFF)


@dataclass(frozen=True, slots=True)
class ResourceUri:
    """A URI, taken apart: ``scheme`` says what ``object_id`` is the id of, ``rest`` what of it."""

    text: str
    scheme: str
    object_id: str
    rest: str


def parse_uri(text: str) -> ResourceUri:
    """Take a resource's URI apart.

    Raises:
        NotFound: Its scheme is none of ours; the candidates are the templates.
    """
    # Not `urlsplit`: it refuses some URIs, and drops characters from others.
    scheme, _, rest = text.partition("://")
    if scheme not in {template.partition("://")[0] for template in TEMPLATES}:
        raise NotFound(f"no resource {text!r}", candidates=list(TEMPLATES))
    object_id, _, rest = rest.partition("/")
    return ResourceUri(text, scheme, object_id, rest)

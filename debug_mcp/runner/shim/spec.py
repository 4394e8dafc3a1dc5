"""What the server asks of a shim."""

FORMAT = 1
# Where a fresh interpreter finds what the server gave it: the lock, the end of a pipe that tells of
# its own end, and a debugger's channel; and a starter what is asked of it.
LOCK_FD, TETHER_FD, CHANNEL_FD = 3, 4, 5
REQUESTS_FD = 3
STATUS_FD, OPTIONS_FD = 3, 4  # the sandbox's: where it reports, and reads its options


class Spec:
    """What to run. NUL-separated ``name=value`` fields; ``arg`` and ``env`` repeat."""

    def __init__(self, data: bytes) -> None:
        self.arguments: list[bytes] = []
        self.environment: dict[bytes, bytes] = {}
        self.fields: dict[bytes, bytes] = {}
        for field in data.split(b"\0"):
            name, _, value = field.partition(b"=")
            if name == b"arg":
                self.arguments.append(value)
            elif name == b"env":
                key, _, content = value.partition(b"=")
                self.environment[key] = content
            elif name:
                self.fields[name] = value

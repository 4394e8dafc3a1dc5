"""The end of a text that grows without bound."""


class Tail:
    """Keeps the last characters that were added; ``total`` counts all."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[str] = []
        self._kept = 0
        self.total = 0

    def add(self, text: str) -> None:
        """Add to the end."""
        self.total += len(text)
        self._parts.append(text[-self._limit :])
        self._kept += len(self._parts[-1])
        if self._kept > 2 * self._limit or len(self._parts) > self._limit:
            self._parts = [self.text]
            self._kept = len(self._parts[0])

    @property
    def text(self) -> str:
        """What is kept."""
        return "".join(self._parts)[-self._limit :]

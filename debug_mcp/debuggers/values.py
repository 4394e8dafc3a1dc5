"""Values as they are shown: short, and every cut said in its place."""

from debug_mcp.debuggers.wire import Message

VALUE_CHARACTERS = 200
LONG_VALUE_CHARACTERS = 2000
NAME_CHARACTERS = 100
# What debuggers list beside the variables of a program.
_GROUPS = {"special variables", "function variables", "class variables", "protected variables"}
_TYPES = {"module", "function", "builtin_function_or_method", "method"}


def clip(text: str, limit: int = VALUE_CHARACTERS) -> str:
    """Return a text of at most ``limit`` characters, and how many were cut.

    >>> clip("abcdef", 4)
    'abcd…(+2)'
    """
    return text if len(text) <= limit else f"{text[:limit]}…(+{len(text) - limit})"


def whole(value: object) -> int:
    """Return a number that an adapter was to send; 0 for what is none."""
    return value if isinstance(value, int) else 0


def objects(body: Message, name: str) -> list[Message]:
    """Return the objects of a list that an adapter was to send; none where it is no list."""
    members = body.get(name)
    return [each for each in members if isinstance(each, dict)] if isinstance(members, list) else []


def is_plain(variable: Message) -> bool:
    """Return whether a variable is one that the program's author would name."""
    name = str(variable.get("name", ""))
    hidden = name.startswith(("@", "__", ".")) or name in _GROUPS or variable.get("type") in _TYPES
    returned_nothing = name.startswith("(return)") and variable.get("value") == "None"
    return bool(name) and not hidden and not returned_nothing


def shown(variable: Message, limit: int = VALUE_CHARACTERS) -> tuple[str, str]:
    """Return a variable's name and its value."""
    return clip(str(variable.get("name")), NAME_CHARACTERS), clip(
        str(variable.get("value", "")), limit
    )

"""Files of a session's tree: reading them, and changing several at once."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from debug_mcp.errors import NextCall
from debug_mcp.models.base import Arguments, View
from debug_mcp.models.sessions import PATCH_CHARACTERS, SessionId

READ_CHARACTERS = 6_000
ASKED_CHARACTERS = 40_000
EDITS = 100
PATH_CHARACTERS = 4_000

TreePath = Annotated[str, Field(min_length=1, max_length=PATH_CHARACTERS)]


class FileKind(StrEnum):
    """What stands under a name in a tree."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    FIFO = "fifo"
    SOCKET = "socket"
    DEVICE = "device"


class FileChange(StrEnum):
    """What an edit did to a file."""

    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"


class FileRead(Arguments):
    """Arguments of ``file_read``."""

    session_id: SessionId
    path: TreePath = Field(default=".", description="relative to the tree; default its root")
    start: int | None = Field(default=None, ge=1, description="first line or entry; default 1")
    end: int | None = Field(
        default=None,
        ge=1,
        description="last one; with it up to 40000 characters, without about 6000",
    )


class FileEditing(Arguments):
    """One change of one file: ``old`` and ``new``, or ``content``, or ``delete``."""

    path: TreePath
    old: str | None = Field(default=None, min_length=1, max_length=PATCH_CHARACTERS)
    new: str | None = Field(default=None, max_length=PATCH_CHARACTERS)
    content: str | None = Field(default=None, max_length=PATCH_CHARACTERS)
    delete: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> "FileEditing":
        replaces = self.old is not None or self.new is not None
        if replaces and (self.old is None or self.new is None):
            raise ValueError("needs old and new together")
        if replaces + (self.content is not None) + self.delete != 1:
            raise ValueError("needs one of: old with new, content, delete: true")
        return self


class FileEdit(Arguments):
    """Arguments of ``file_edit``."""

    session_id: SessionId
    edits: list[FileEditing] = Field(default=[], max_length=EDITS, description="made in this order")
    patch: str | None = Field(default=None, max_length=PATCH_CHARACTERS)

    @model_validator(mode="after")
    def _one_form(self) -> "FileEdit":
        if bool(self.edits) == (self.patch is not None):
            raise ValueError("need edits or patch, one of them")
        return self


class EntryView(View):
    """One name in a folder. ``target`` is where a link leads."""

    name: str
    kind: FileKind
    size: int | None = None
    target: str | None = None


class FileView(View):
    """A part of a file or folder.

    ``text`` has one line of the file on each line, after its number and two spaces. ``line_ends``
    is absent for LF, ``crlf``, or ``mixed``; ``last_newline`` is there when it is missing.
    ``total`` counts lines or entries, as far as it is known.
    """

    path: str
    kind: FileKind
    start: int | None = None
    end: int | None = None
    total: int | None = None
    text: str | None = None
    entries: tuple[EntryView, ...] = ()
    size: int | None = None
    media_type: str | None = None
    line_ends: str | None = None
    last_newline: bool | None = None
    hint: str | None = None
    next: NextCall | None = None


class ChangedView(View):
    """A file that was changed; ``lines`` is ``+added -removed``, absent for a binary one."""

    path: str
    change: FileChange
    lines: str | None = None


class FilesView(View):
    """What an edit changed."""

    changed: tuple[ChangedView, ...] = ()
    hint: str | None = None

"""What a clone's output says of its progress, and of its failure."""

from debug_mcp.worktrees.connections import clone_fault
from debug_mcp.worktrees.progress import last_progress

CLONING = (
    "Cloning into bare repository '/x'...\n"
    "remote: Enumerating objects: 9, done.        \n"
    "remote: Counting objects:  50% (2/4)        \rremote: Counting objects: 100% (4/4), done.\n"
)
RECEIVING = "Receiving objects:  45% (450/1000), 12.30 MiB | 3.20 MiB/s\r"


def test_the_newest_line_counts_and_the_percentage_is_of_the_whole() -> None:
    assert last_progress("Cloning into bare repository '/x'...\n") is None
    counted = last_progress(CLONING)
    assert counted == (3, "counting objects 100% (4 of 4)")
    received = last_progress(CLONING + RECEIVING)
    assert received == (41, "receiving objects 45% (450 of 1000), 12.30 MiB | 3.20 MiB/s")
    done = last_progress(CLONING + RECEIVING + "\nResolving deltas: 100% (7/7), done.\n")
    assert done is not None
    assert done.percent == 100


def test_half_a_line_and_nonsense_are_no_progress() -> None:
    assert last_progress("\x00\xff\r\rReceiving obj") is None
    assert last_progress("Receiving objects: 200% (4/2)") is not None


def test_what_is_said_of_a_failure_is_what_is_no_progress() -> None:
    output = f"{CLONING}{RECEIVING}\nremote: gone\nfatal: early EOF at https://ada:secret@x/y\n"
    assert clone_fault(output) == "remote: gone; fatal: early EOF at https://x/y"

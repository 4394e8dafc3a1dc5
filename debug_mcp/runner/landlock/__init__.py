"""A program that confines itself and then becomes another: the level ``landlock``.

For machines that forbid user namespaces, where bubblewrap cannot work. It is to bubblewrap's place
in a command what ``__main__`` here is: it reads its options from a descriptor, gives up everything
that they do not name, and replaces itself by the command. The kernel keeps the restrictions for
whatever that starts.

* ``rules``: which files may be opened, by Landlock (``landlock(7)``).
* ``calls``: which system calls are refused, by seccomp (``seccomp(2)``), for what Landlock does not
  see.

It runs without site packages, and before it has confined itself with nothing of the caller's in its
environment: an ``LD_PRELOAD`` would otherwise run outside.
"""

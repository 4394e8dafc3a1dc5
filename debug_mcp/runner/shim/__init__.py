"""A supervisor for one command. It outlives the server that started it.

Forked by a starter (``starter``), or started as ``python -I -S shim/__main__.py DIRECTORY`` where
there is none. The files of the command's directory are the whole interface: ``spec``, ``options``
in, ``state``, ``output``, ``stderr`` (where that is apart), a timeline of each, ``exit`` out.
``-I -S`` and modules in C alone make it start in milliseconds (``signal`` and ``ctypes`` would
double that: ``_signal`` and ``_ctypes`` are what they wrap), and keep every module of the working
tree out of the supervisor.

* It holds ``lock`` for as long as it lives; the server took the ``flock`` and passed on the
  descriptor. So nobody ever has to trust a process id.
* Its parent is a ``guard``, which holds ``lock`` too. When the shim is killed, it ends what is left
  of the command before it lets go.
* ``state`` is there before the command is started: no ``state`` means that nothing ran.
* ``exit`` appears by rename after an fsync, once no process of the command is left. Its presence is
  the truth.
* As a subreaper (``prctl(2)``) it inherits whatever the command leaves behind, and kills and reaps
  until nothing is left.
* It enforces the deadlines itself. SIGTERM asks it to cancel the command.

It imports nothing of the rest of debug_mcp and raises nothing: what fails is written to ``exit``.
"""

"""From parsed options to what is run. Heavy modules are imported when their command is."""

import argparse
import sys

import anyio

from debug_mcp.cli.loading import loading
from debug_mcp.cli.platforms import elsewhere, without_person
from debug_mcp.config import Settings, forget_git_variables, load
from debug_mcp.errors import InvalidInput, Unavailable


def stdio(options: argparse.Namespace) -> int:
    """Serve one client over standard input and output."""
    sentence = elsewhere(sys.platform)
    if sentence is not None:
        from debug_mcp.transport.elsewhere import serve_sentence  # noqa: PLC0415

        print(f"debug-mcp: {sentence}", file=sys.stderr)
        anyio.run(serve_sentence, sentence)
        return 1
    # The SDK takes most of a second to import: only when it is about to serve.
    with loading():
        from debug_mcp.cli.launched import run_stdio  # noqa: PLC0415

    anyio.run(run_stdio, _settings(options, default_wait=options.default_wait))
    return 0


def serve(options: argparse.Namespace) -> int:
    """Serve many clients over HTTP."""
    _refuse_elsewhere()
    from debug_mcp.cli.serving import run_http  # noqa: PLC0415

    anyio.run(
        run_http,
        _settings(
            options,
            http_host=options.host,
            http_port=options.port,
            http_allowed_hosts=options.allowed_host,
            http_allowed_origins=options.allowed_origin,
            http_proxies=options.proxy,
            log_format=options.log_format,
        ),
    )
    return 0


def call(options: argparse.Namespace) -> int:
    """Run one operation, in this process or by a server elsewhere."""
    if _is_elsewhere(options):
        from debug_mcp.cli.remote import run_remote_call  # noqa: PLC0415

        return anyio.run(run_remote_call, options)
    _refuse_elsewhere()
    from debug_mcp.cli.calling import run_call  # noqa: PLC0415

    return anyio.run(run_call, _settings(options), options)


def sessions(options: argparse.Namespace) -> int:
    """List sessions, or show one."""
    return _person("sessions", options)


def run(options: argparse.Namespace) -> int:
    """Run a command in a session as if in this terminal."""
    return _person("run", options)


def logs(options: argparse.Namespace) -> int:
    """Show what a command wrote."""
    return _person("logs", options)


def get(options: argparse.Namespace) -> int:
    """Download an artifact."""
    return _person("get", options)


def compare(options: argparse.Namespace) -> int:
    """Show which tests a change flips."""
    return _person("compare", options)


def flaky(options: argparse.Namespace) -> int:
    """Show how often each test passes."""
    return _person("flaky", options)


def bisect(options: argparse.Namespace) -> int:
    """Find the commit that broke something."""
    return _person("bisect", options)


def evidence(options: argparse.Namespace) -> int:
    """Download all that a claim stands on."""
    return _person("evidence", options)


def verify(options: argparse.Namespace) -> int:
    """Check a bundle of evidence."""
    from debug_mcp.cli.verifying import run_verify  # noqa: PLC0415

    return run_verify(options)


def token_create(options: argparse.Namespace) -> int:
    """Make a token."""
    return _token("create", options)


def token_list(options: argparse.Namespace) -> int:
    """List all tokens."""
    return _token("list", options)


def token_revoke(options: argparse.Namespace) -> int:
    """End a token."""
    return _token("revoke", options)


def token_rotate(options: argparse.Namespace) -> int:
    """Give a token another secret."""
    return _token("rotate", options)


def audit(options: argparse.Namespace) -> int:
    """Show who changed what, and who was refused."""
    _refuse_elsewhere()
    from debug_mcp.cli.audit import run_audit  # noqa: PLC0415

    return anyio.run(run_audit, _settings(options), options)


def gc(options: argparse.Namespace) -> int:
    """Remove what is too old or too much."""
    _refuse_elsewhere()
    from debug_mcp.cli.retention import run_gc  # noqa: PLC0415

    return anyio.run(run_gc, _settings(options), options)


def doctor(options: argparse.Namespace) -> int:
    """Look whether this machine has what is needed."""
    _refuse_elsewhere()
    from debug_mcp.cli.examining import run_doctor  # noqa: PLC0415

    return anyio.run(run_doctor, options)


def demo(options: argparse.Namespace) -> int:
    """Show the main job."""
    _refuse_elsewhere()
    from debug_mcp.demo.story import run_demo  # noqa: PLC0415

    repo = options.repo.expanduser().absolute() if options.repo else None
    return anyio.run(run_demo, repo, options.run)


def _person(name: str, options: argparse.Namespace) -> int:
    settings = None
    if _is_elsewhere(options):
        sentence = without_person(sys.platform)
        if sentence is not None:
            raise Unavailable(sentence)
    else:
        _refuse_elsewhere()
        settings = _settings(options)
    from debug_mcp.cli.person import run_person  # noqa: PLC0415

    return anyio.run(run_person, name, options, settings)


def _is_elsewhere(options: argparse.Namespace) -> bool:
    """Return whether a server at a URL is asked.

    Raises:
        InvalidInput: Options were given that would count for nothing.
    """
    if options.url is None and options.token_file is not None:
        raise InvalidInput("--token-file is for --url")
    if options.url is None:
        return False
    if options.data_dir is not None or options.isolation is not None:
        raise InvalidInput("--data-dir and --isolation are set where the server at --url runs")
    return True


def _token(action: str, options: argparse.Namespace) -> int:
    _refuse_elsewhere()
    from debug_mcp.cli.tokens import run_token  # noqa: PLC0415

    return anyio.run(run_token, _settings(options), action, options)


def _settings(options: argparse.Namespace, **overrides: object) -> Settings:
    forget_git_variables()
    return load(data_dir=options.data_dir, isolation=options.isolation, **overrides)


def _refuse_elsewhere() -> None:
    sentence = elsewhere(sys.platform)
    if sentence is not None:
        raise Unavailable(sentence)

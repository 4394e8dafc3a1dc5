"""Reading JUnit files, the form in which other test runners than pytest tell their results."""

import contextlib

from junitparser import Error, JUnitXml, JUnitXmlError, Skipped, TestCase
from junitparser import Failure as Failed

from debug_mcp.testreports.model import Failure, Report, Result, Status

_ERROR_CHARACTERS = 2000


class Unreadable(Exception):
    """Raised for a file that is no JUnit report; the message says why."""


def read_junit(content: bytes) -> Report:
    """Read one file. Ids are ``class::name``, or the name alone where no class is given.

    Raises:
        Unreadable: It is no XML, no JUnit report, or declares a document type: entities can grow
            without end and can name files.
    """
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise Unreadable("it declares a document type, which test reports do not need")
    try:
        suites = JUnitXml.fromstring(content)
        tests = {_id(case): _result(case) for suite in suites for case in suite}
    except (JUnitXmlError, SyntaxError, ValueError, TypeError, RecursionError) as error:
        raise Unreadable(f"it is no JUnit report: {error}") from error
    return Report("junit", complete=True, tests=tests)


def _id(case: TestCase) -> str:
    return "::".join(part for part in (case.classname, case.name) if part)


def _result(case: TestCase) -> Result:
    seconds = 0.0
    with contextlib.suppress(ValueError, TypeError):
        seconds = max(float(case.time or 0), 0.0)
    for found in case.result:
        match found:
            case Failed():
                return Result(Status.FAILED, seconds, _failure(case, found))
            case Error():
                return Result(Status.ERROR, seconds, _failure(case, found))
            case Skipped():
                return Result(Status.SKIPPED, seconds)
            case _:
                pass
    return Result(Status.PASSED, seconds)


def _failure(case: TestCase, found: Failed | Error) -> Failure:
    said = found.message or (found.text or "").strip() or found.type or "failed without a word"
    # pytest puts the type into the message, others beside it.
    error = said if not found.type or found.type in said else f"{found.type}: {said}"
    attributes = case._elem.attrib  # not in every schema, so it has no accessor
    line = attributes.get("line", "")
    known = line.isdecimal() and "file" in attributes
    return Failure(
        error[:_ERROR_CHARACTERS],
        path=attributes["file"] if known else None,
        line=int(line) if known else None,
    )

"""Coverage files: what is read of them, and what is refused."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debug_mcp.testreports.coverage import Coverage, read_coverage
from debug_mcp.testreports.junit import Unreadable

COBERTURA = b"""<?xml version="1.0" ?>
<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">
<coverage line-rate="0.5" version="1"><sources><source>/workspace</source></sources><packages>
<package name="."><classes><class name="m" filename="src/m.py"><methods><method name="f"><lines>
<line number="2" hits="0"/></lines></method></methods><lines><line number="1" hits="3"/>
<line number="2" hits="0" branch="true"/></lines></class>
<class name="e" filename="src/empty.py"><lines/></class></classes></package></packages></coverage>
"""
LCOV = (
    b"TN:\nSF:src/m.py\nFN:1,f\nDA:1,3\nDA:2,0,sum\nLF:2\nLH:1\nend_of_record\n"
    b"SF:src/empty.py\nend_of_record\n"
)
JSON = json.dumps({
    "meta": {"format": 3, "branch_coverage": False},
    "files": {
        "src/m.py": {"executed_lines": [1], "missing_lines": [2], "summary": {}},
        "src/empty.py": {"executed_lines": [], "missing_lines": []},
    },
    "totals": {},
}).encode()  # fmt: skip


@pytest.mark.parametrize("content", [COBERTURA, LCOV, JSON], ids=["cobertura", "lcov", "json"])
def test_each_format_says_the_same(content: bytes) -> None:
    found = read_coverage(content)
    assert found.files == {"src/m.py": {1: True, 2: False}, "src/empty.py": {}}


def test_a_line_that_ran_once_did_run() -> None:
    twice = LCOV + b"SF:src/m.py\nDA:2,1\nDA:1,0\nend_of_record\n"
    assert read_coverage(twice).files["src/m.py"] == {1: True, 2: True}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<coverage/>",
        b"<coverage",
        b"{}",
        b"[1]",
        b'{"files": {"a": {"missing_lines": [Infinity], "executed_lines": []}}}',
        b'{"files": ' + b"[" * 100_000,
        b"SF:a\nDA:one,2\n",
        b"SF:a\nDA:1\n",
        b'<coverage><class filename="a"><line number="x" hits="1"/></class></coverage>',
        b'<coverage><class><line number="1" hits="1"/></class></coverage>',
        b'<!DOCTYPE c [<!ENTITY a "aaaa">]><coverage><class filename="&a;"/></coverage>',
        b'<!DOCTYPE c [<!ENTITY a SYSTEM "file:///etc/passwd">]><coverage>&a;</coverage>',
    ],
)
def test_what_is_no_coverage_file_is_refused(content: bytes) -> None:
    with pytest.raises(Unreadable):
        read_coverage(content)


@given(st.binary() | st.sampled_from([COBERTURA, LCOV, JSON]).map(lambda text: text[:-20]))
def test_whatever_is_in_a_file_it_is_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(Unreadable):
        assert isinstance(read_coverage(content), Coverage)

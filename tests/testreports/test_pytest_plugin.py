"""What the plugin tells of real runs, and that it changes none of them."""

import os
import subprocess
import sys

import anyio
import pytest

from debug_mcp.testreports.model import Status
from tests.files import appears
from tests.testreports.conftest import Project

EVERY_END = """
import pytest

def test_passes(): pass

def test_fails():
    left = 1
    assert left == 2

def test_is_skipped(): pytest.skip("not here")

@pytest.mark.xfail
def test_is_expected_to_fail(): assert False

@pytest.mark.xfail
def test_passes_against_expectation(): pass

@pytest.fixture
def broken(): raise RuntimeError("no such thing")

def test_has_a_broken_fixture(broken): pass

@pytest.fixture
def untidy():
    yield
    raise OSError("cannot clean up")

def test_cannot_clean_up(untidy): pass
"""


def statuses(project: Project) -> dict[str, str]:
    return {
        name.partition("::")[2]: str(result.status) for name, result in project.report.tests.items()
    }


def test_every_way_to_end_is_told(project: Project) -> None:
    project.write(test_ends=EVERY_END)
    done = project.pytest("-q")
    assert statuses(project) == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_is_skipped": "skipped",
        "test_is_expected_to_fail": "xfailed",
        "test_passes_against_expectation": "xpassed",
        "test_has_a_broken_fixture": "error",
        "test_cannot_clean_up": "error",
    }
    assert project.report.complete
    assert project.report.collected == 7
    assert done.returncode == 1


def test_a_failure_has_its_place_its_line_and_its_error(project: Project) -> None:
    project.write(test_ends=EVERY_END)
    project.pytest()
    failure = project.report.tests["test_ends.py::test_fails"].failure
    assert failure is not None
    assert (failure.at, failure.code) == ("test_ends.py:8", "assert left == 2")
    assert failure.error == "AssertionError: assert 1 == 2"
    assert failure.kind == "AssertionError"


def test_a_crash_inside_a_library_is_placed_in_the_project(project: Project) -> None:
    project.write(
        helper="import json\n\ndef load(text):\n    return json.loads(text)\n",
        test_it="from helper import load\n\ndef test_load():\n    load('{')\n",
    )
    project.pytest("-p", "no:randomly", "-c", os.devnull, f"--rootdir={project.tree}")
    failure = project.report.tests["test_it.py::test_load"].failure
    assert failure is not None
    assert failure.at == "helper.py:4"
    assert failure.code == "return json.loads(text)"
    assert failure.kind == "json.decoder.JSONDecodeError"


@pytest.mark.parametrize("style", ["auto", "long", "short", "line", "native", "no"])
def test_the_style_of_tracebacks_does_not_matter(project: Project, style: str) -> None:
    project.write(test_it="def test_it():\n    assert [1] == [2]\n")
    project.pytest(f"--tb={style}")
    failure = project.report.tests["test_it.py::test_it"].failure
    assert failure is not None
    assert failure.at == "test_it.py:2"
    assert failure.error.startswith("AssertionError: assert [1] == [2]")


def test_ids_are_exact_whatever_is_in_them(project: Project) -> None:
    project.write(
        test_it="import pytest\n"
        "@pytest.mark.parametrize('x', ['a b', 'c::d', '[e]', 'ä', ''])\n"
        "class TestIt:\n"
        "    def test_it(self, x): pass\n"
    )
    project.pytest()
    ids = list(project.report.tests)
    assert len(ids) == 5
    again = project.pytest("-q", *ids)
    assert "5 passed" in again.stdout


def test_unittest_subtests_and_async_tests_are_told(project: Project) -> None:
    project.write(
        test_it="import unittest\n"
        "class Case(unittest.TestCase):\n"
        "    def test_parts(self):\n"
        "        for n in range(3):\n"
        "            with self.subTest(n=n): self.assertNotEqual(n, 1)\n"
        "    def test_whole(self): pass\n"
        "class Later(unittest.IsolatedAsyncioTestCase):\n"
        "    async def test_later(self): self.assertTrue(False)\n"
    )
    project.pytest()
    assert statuses(project) == {
        "Case::test_parts": "failed",
        "Case::test_whole": "passed",
        "Later::test_later": "failed",
    }


def test_files_that_cannot_be_collected_are_told_apart(project: Project) -> None:
    project.write(
        test_good="def test_it(): pass\n",
        test_import="import nothing_of_this_name\n",
        test_syntax="def test_it(:\n",
    )
    project.pytest()
    report = project.report
    assert not report.complete
    assert set(report.uncollected) == {"test_import.py", "test_syntax.py"}
    assert "nothing_of_this_name" in report.uncollected["test_import.py"].error
    assert "SyntaxError" in report.uncollected["test_syntax.py"].error


def test_a_run_that_stops_at_the_first_failure_is_not_complete(project: Project) -> None:
    project.write(test_it="def test_a(): assert 0\ndef test_b(): pass\n")
    project.pytest("-x")
    assert not project.report.complete
    assert (len(project.report.tests), project.report.collected) == (1, 2)


def test_what_was_deselected_is_not_missed(project: Project) -> None:
    project.write(test_it="def test_a(): assert 0\ndef test_b(): pass\n")
    project.pytest("-k", "test_b")
    assert project.report.complete
    assert project.report.collected == 1


def test_several_runs_count_and_the_last_result_of_a_test_stands(project: Project) -> None:
    project.write(
        test_one="import pathlib\ndef test_it(): assert pathlib.Path('good').exists()\n",
        test_two="def test_it(): pass\n",
    )
    project.pytest("test_one.py")
    (project.tree / "good").touch()
    project.pytest("test_two.py")
    project.pytest("test_one.py")
    assert [str(r.status) for r in project.report.tests.values()] == ["passed", "passed"]


def test_parallel_workers_are_one_run(project: Project) -> None:
    project.write(
        test_it="import pytest\n"
        "@pytest.mark.parametrize('n', range(20))\n"
        "def test_it(n): assert n != 7\n"
    )
    project.pytest("-n", "2")
    report = project.report
    assert report.complete
    assert (report.count(Status.PASSED), report.count(Status.FAILED)) == (19, 1)
    assert report.collected == 20
    failure = report.tests["test_it.py::test_it[7]"].failure
    assert failure is not None
    assert failure.at == "test_it.py:3"


def test_runs_that_a_test_starts_are_not_results(project: Project) -> None:
    project.write(
        conftest="pytest_plugins = ['pytester']\n",
        inner__test_inner="def test_inner(): assert 0\n",
        test_outer="import subprocess, sys\n"
        "def test_in_process(pytester):\n"
        "    pytester.makepyfile('def test_inner(): assert 0')\n"
        "    pytester.runpytest_inprocess().assert_outcomes(failed=1)\n"
        "def test_in_another_process():\n"
        "    command = [sys.executable, '-m', 'pytest', 'inner']\n"
        "    assert subprocess.run(command, capture_output=True).returncode == 1\n",
    )
    project.pytest("test_outer.py")
    assert statuses(project) == {"test_in_process": "passed", "test_in_another_process": "passed"}
    assert project.report.complete


def test_a_run_below_a_script_counts(project: Project) -> None:
    project.write(test_it="def test_it(): pass\n")
    (project.tree / "check.sh").write_text(f"{sys.executable} -m pytest -q; exit 3\n")
    done = subprocess.run(
        ["sh", "check.sh"], cwd=project.tree, env=project.environment, capture_output=True
    )
    assert done.returncode == 3
    assert project.report.count(Status.PASSED) == 1


@pytest.mark.anyio
async def test_a_killed_run_tells_what_it_did_and_where_it_was(project: Project) -> None:
    project.write(
        test_it="import pathlib, signal\n"
        "def test_a(): pass\n"
        "def test_b():\n"
        "    pathlib.Path('here').touch()\n"
        "    signal.pause()\n"
        "def test_c(): pass\n"
    )
    command = [sys.executable, "-m", "pytest"]
    async with await anyio.open_process(
        command, cwd=project.tree, env=project.environment, stdout=subprocess.DEVNULL
    ) as process:
        await appears(project.tree / "here")
        process.kill()
    report = project.report
    assert not report.complete
    assert report.current == "test_it.py::test_b"
    assert (len(report.tests), report.collected) == (1, 3)


def test_ids_below_another_root_are_given_from_the_tree(project: Project) -> None:
    project.write(parts__one__test_it="def test_it(): assert 0\n")
    (project.tree / "parts/one/pytest.ini").write_text("[pytest]\n")
    project.pytest("-q", cwd="parts/one")
    (name, result), *_ = project.report.tests.items()
    assert name == "parts/one/test_it.py::test_it"
    assert result.failure is not None
    assert result.failure.at == "parts/one/test_it.py:1"
    assert "1 failed" in project.pytest("-q", name).stdout


STRICT = [
    (["-W", "error"], {}),
    (["-p", "no:cacheprovider"], {}),
    (["-n", "2"], {}),
    ([], {"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"}),
    ([], {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}),
    ([], {"PYTHONPATH": "elsewhere"}),
    ([], {"DEBUG_MCP_REPORT": "/nonexistent/folder"}),
    ([], {"PYTEST_ADDOPTS": "-p no:debug_mcp_report"}),
    ([], {"PYTEST_PLUGINS": "own_plugin"}),
]


@pytest.mark.parametrize(("arguments", "env"), STRICT)
def test_nothing_that_pytest_says_changes(
    project: Project, arguments: list[str], env: dict[str, str]
) -> None:
    project.write(
        ini="[pytest]\nfilterwarnings = error\n",
        own_plugin="def pytest_report_header(config): return 'own plugin'\n",
        test_ends=EVERY_END,
    )
    own = os.pathsep.join([env.get("PYTHONPATH", ""), str(project.tree)])
    plain = {**project.environment, **env, "PYTHONPATH": own}
    del plain["DEBUG_MCP_REPORT"]
    command = [sys.executable, "-m", "pytest", "-q", "--durations=0", "-rA", *arguments]
    without = subprocess.run(command, cwd=project.tree, env=plain, capture_output=True, text=True)
    ours = project.environment["PYTHONPATH"]
    both = own if "PYTHONPATH" in env else os.pathsep.join([ours, str(project.tree)])
    with_it = project.pytest(
        "-q", "--durations=0", "-rA", *arguments, env={**env, "PYTHONPATH": both}
    )
    assert with_it.returncode == without.returncode == 1
    assert counts(with_it.stdout) == counts(without.stdout)
    assert with_it.stderr == without.stderr


def counts(output: str) -> list[str]:
    """Return the lines that tell a test's end, in no order (workers have none)."""
    words = ("PASSED", "FAILED", "ERROR", "SKIPPED", "XFAIL", "XPASS")
    return sorted(line for line in output.splitlines() if line.startswith(words))


def test_a_test_that_closes_every_descriptor_or_forks_writes_nothing_elsewhere(
    project: Project,
) -> None:
    project.write(
        test_it="import os\n"
        "def test_fork():\n"
        "    child = os.fork()\n"
        "    if child == 0: return\n"
        "    os.waitpid(child, 0)\n"
        "def test_close():\n"
        "    for fd in range(3, 64):\n"
        "        try: os.close(fd)\n"
        "        except OSError: pass\n"
        "    for n in range(61): os.open(f'own-{n}', os.O_CREAT | os.O_WRONLY)\n"
        "def test_after(): pass\n"
    )
    project.pytest("-s", "-p", "no:faulthandler")
    owned = list(project.tree.glob("own-*"))
    assert len(owned) == 61
    assert not any(file.stat().st_size for file in owned)
    assert list(statuses(project)) == ["test_fork"]
    assert not project.report.complete


def test_no_run_no_report(project: Project) -> None:
    assert project.read() is None


def test_pip_does_not_list_the_plugin(project: Project) -> None:
    environment = {**project.environment, "PIP_EXCLUDE": "debug-mcp-report"}
    for what in ("list", "freeze"):
        done = subprocess.run(
            [sys.executable, "-m", "pip", "--disable-pip-version-check", what],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0
        assert "pytest" in done.stdout
        assert "debug-mcp-report" not in done.stdout + done.stderr

"""The reader of pages notices when a page is wrong."""

import pytest

from tests.transcripts import Reader

PRINTED = "session_id: s_9zzz\nstate: ready\ncommit: 11e798d86c2eb86a\ntook: 12.5 of 900\n"


@pytest.mark.parametrize(
    "shown",
    [
        ["session_id: s_4xrb", "state: ready"],
        ["state: ready", "…", "commit: a4b1c6046b45"],
        ["took: 0.1 of 30"],
        ["commit: …"],
    ],
)
def test_what_differs_each_time_may_differ(shown: list[str]) -> None:
    Reader().compare(shown, PRINTED)


@pytest.mark.parametrize(
    "shown",
    [
        ["state: closed"],
        ["state: ready", "session_id: s_4xrb"],
        ["state: ready", "state: ready"],
        ["state: read"],
        ["session_id: c_4xrb1x"],
        ["took: 1 of …"],
    ],
)
def test_a_line_that_was_not_printed_in_its_place_is_noticed(shown: list[str]) -> None:
    with pytest.raises(AssertionError, match="the page shows"):
        Reader().compare(shown, PRINTED)


def test_an_id_of_the_page_stands_for_the_one_that_was_printed() -> None:
    reader = Reader()
    reader.compare(["session_id: s_4xrb"], PRINTED)
    assert reader.own("close s_4xrb c_1111") == "close s_9zzz c_1111"
    with pytest.raises(AssertionError):
        reader.compare(["session_id: s_4xrb"], "session_id: s_other")

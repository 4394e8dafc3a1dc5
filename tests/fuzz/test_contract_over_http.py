"""A short run of what ``make fuzz`` does for longer."""

from pathlib import Path

import pytest

from tests.fuzz.run import fuzz


@pytest.mark.bwrap
@pytest.mark.timeout(300)
def test_the_server_keeps_what_its_openapi_document_says(tmp_path: Path) -> None:
    code, said = fuzz(tmp_path, seed=1, examples=2, seconds=60)
    assert code == 0, said
    assert "No issues found" in said
    assert "Coverage" in said

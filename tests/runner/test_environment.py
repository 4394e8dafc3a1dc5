"""What of the server's own environment reaches a command."""

from pathlib import Path

import pytest

from debug_mcp.runner.environment import network_environment
from tests.runner.conftest import Runs, only_bwrap


def test_with_the_network_proxies_and_certificates_come_along_and_nothing_else(
    tmp_path: Path,
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    kept, readable = network_environment(
        {
            "https_proxy": "http://proxy.example.org:3128",
            "NO_PROXY": "localhost",
            "SSL_CERT_FILE": str(bundle),
            "REQUESTS_CA_BUNDLE": "/nonexistent/ca.pem",
            "CURL_CA_BUNDLE": "relative.pem",
            "AWS_SECRET_ACCESS_KEY": "hunter2",
            "PIP_INDEX_URL": "https://pypi.example.org/simple",
        }
    )
    assert kept == {
        "https_proxy": "http://proxy.example.org:3128",
        "NO_PROXY": "localhost",
        "SSL_CERT_FILE": str(bundle),
    }
    assert readable == (bundle,)


def test_the_operator_can_name_further_variables() -> None:
    inherited = {"PIP_INDEX_URL": "https://pypi.example.org/simple"}
    assert network_environment(inherited, ["PIP_INDEX_URL", "UV_INDEX"])[0] == inherited


@pytest.mark.anyio
@only_bwrap
async def test_a_certificate_of_the_persons_can_be_read_and_its_neighbours_cannot(
    runs: Runs, tmp_path: Path
) -> None:
    (tmp_path / "certificates").mkdir()
    bundle, secret = tmp_path / "certificates/ca.pem", tmp_path / "certificates/key.pem"
    bundle.write_text("a certificate")
    secret.write_text("hunter2")
    seen, output = await runs.run(f"cat {bundle}; cat {secret}", readable=(bundle,))
    assert seen.code != 0
    assert output.startswith(b"a certificate")
    assert b"hunter2" not in output

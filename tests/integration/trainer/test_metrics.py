"""What Prometheus and probes are told of a trainer that runs."""

import re
import socket
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.trainer_service import PATIENCE, TrainerService, wait_until
from trainer.runs.store import FILE


def logged(service, pattern):
    """What the service's log says by such a pattern, once it does."""
    found = []
    wait_until(lambda: found.extend(re.findall(pattern, service.log)) or found)
    return found[0]


def get(address, path):
    """Status and text."""
    try:
        with urlopen(f"http://{address}{path}", timeout=PATIENCE) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def test_metrics_and_probes_of_a_service(tmp_path):
    state = tmp_path / "state"
    with TrainerService(tmp_path / "volume", state, metrics_listen="127.0.0.1:0") as service:
        address = logged(service, r"metrics on (\S+)")
        assert get(address, "/live") == get(address, "/ready") == (200, "ok\n")
        status, text = get(address, "/metrics")
        assert status == 200
        assert 'trainer_runs_total{outcome="succeeded"} 0.0' in text
        assert "trainer_volume_problem 0.0" in text
        service.volume.rmdir()
        (state / FILE).rename(state / "elsewhere")
        status, text = get(address, "/ready")
        assert status == 503
        assert f"{state / FILE}: is gone" in text
        assert get(address, "/live") == (200, "ok\n")
        status, text = get(address, "/metrics")
        assert status == 200
        assert "trainer_volume_problem 1.0" in text


def test_a_metrics_port_in_use_leaves_the_service_running(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with TrainerService(tmp_path / "volume", tmp_path / "state", metrics_listen=address) as service:
            assert service.runs() == []
            assert "in use" in logged(service, f"--metrics-listen {address}: (.*)")

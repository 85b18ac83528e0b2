"""Load tests on a real retriever: what passes, what fails the run, and servers that aren't there."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from lightfm_retriever.hosting.security.settings import ClientSecurity
from lightfm_retriever.publication.labels import read_label
from lightfm_retriever.publication.reader import list_versions
from tests.certificates import NAME, Secret, issue
from tests.datasets import GENRES, ITEMS, rows, write_csv, write_rows
from tests.load import h2load, k6, k6_run
from tests.service import Service, wait_for_the_end
from trainer.__main__ import main as trainer

# What any run here must end within: what waits for a server that never comes would take longer.
SOON = 20


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    """Two versions with all that may be asked: sessions, filters, batches."""
    directory = tmp_path_factory.mktemp("load")
    interactions = write_rows(directory / "interactions.csv", rows())
    genres = {
        "item_id": [f"i{item}" for item in range(ITEMS)],
        "genres": [GENRES[item % 3] for item in range(ITEMS)],
    }
    items = write_csv(directory / "items.csv", genres)
    for seed in ("1", "2"):
        arguments = ["train", "--interactions", str(interactions), "--items", str(items)]
        arguments += [
            "--item-attributes",
            "genres",
            "--allow-unevaluated",
            "--split",
            "none",
            "--seed",
            seed,
        ]
        arguments += ["--epochs", "2", "--components", "4", "--volume", str(directory / "volume")]
        assert trainer(arguments) == 0
    return directory / "volume"


@pytest.fixture(scope="module")
def service(volume, tmp_path_factory):
    log = tmp_path_factory.mktemp("service") / "log"
    with Service(volume, log, workers=2, poll_seconds=0.2, drain_seconds=0) as service:
        service.wait_until_all_serve(read_label(volume, "current"))
        yield service


@pytest.fixture
def of_its_own(volume, tmp_path):
    """A service that may be spoiled."""
    with Service(volume, tmp_path / "log", workers=1, drain_seconds=0) as service:
        service.wait_until_all_serve(read_label(volume, "current"))
        yield service


def run(capsys, *arguments):
    """The exit status, the results, and what stands on standard error."""
    status = k6.main([*arguments, "--json"])
    out, err = capsys.readouterr()
    return status, json.loads(out) if out else None, err


def calls(results):
    return {row["calls"]: row["count"] for row in results["rows"]}


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def test_smoke_asks_every_kind_of_call(service, volume, capsys):
    status, results, err = run(capsys, "smoke", "--target", service.target, "--volume", str(volume))
    assert status == 0, err
    assert results["passed"]
    assert calls(results) == {
        "Recommend": 10,
        "Recommend, session": 10,
        "Recommend, filter": 10,
        "SimilarItems": 10,
        "BatchRecommend, 16 each": 10,
        "BatchSimilarItems, 16 each": 10,
        "GetStatus": 10,
        "Recommend, unknown user": 10,
        "all": 80,
    }
    assert all(row["failed"] == row["refused"] == 0 for row in results["rows"])


def test_protos_by_reflection_and_ids_from_files(service, tmp_path, capsys):
    users, items = tmp_path / "users", tmp_path / "items"
    users.write_text("u1\nu2\n")
    items.write_text("i1\ni2\n")
    files = ("--user-ids", str(users), "--item-ids", str(items))
    status, results, err = run(capsys, "smoke", "--target", service.target, "--reflect", *files)
    assert status == 0, err
    # genres=Drama, unless a filter is named.
    assert calls(results)["Recommend, filter"] == 10


@pytest.fixture(scope="module")
def guarded(volume, tmp_path_factory):
    """A service with TLS, client certificates and a token; and the flags that it takes."""
    folder = tmp_path_factory.mktemp("guarded")
    # A name that no address has, so that the flag for it counts.
    service_files, own = Secret(folder / "tls", issue(NAME)), Secret(folder / "own", issue("load"))
    tokens = folder / "tokens"
    tokens.write_text("a-token\nanother\n")
    security = ClientSecurity(
        ca=own.ca, cert=own.cert, key=own.key, server_name=NAME, token=tokens.read_text().split()[0]
    )
    with Service(
        volume,
        folder / "log",
        security=security,
        workers=1,
        drain_seconds=0,
        tls_cert=service_files.cert,
        tls_key=service_files.key,
        tls_client_ca=service_files.ca,
        token_file=tokens,
    ) as service:
        service.wait_until_all_serve(read_label(volume, "current"))
        flags = ["--ca", own.ca, "--cert", own.cert, "--key", own.key, "--server-name", NAME]
        yield service, [str(flag) for flag in [*flags, "--client-token-file", tokens]]


@pytest.mark.parametrize("protos", [[], ["--reflect"]])
def test_a_guarded_retriever_is_asked_by_who_shows_what_it_wants(guarded, volume, capsys, protos):
    service, flags = guarded
    where = ["--target", service.target, "--volume", str(volume)]
    status, results, err = run(capsys, "smoke", *where, *protos, *flags)
    assert status == 0, err
    assert calls(results)["all"] == 80
    assert all(row["failed"] == row["refused"] == 0 for row in results["rows"])


def test_what_a_guarded_retriever_lacks_is_named(guarded, volume, capsys):
    service, flags = guarded
    where = ["--target", service.target, "--volume", str(volume)]
    status, _, err = run(capsys, "smoke", *where, *flags[:-2])
    assert status == 1
    assert "refuses the caller: UNAUTHENTICATED" in err
    assert "--client-token-file" in err
    status, _, err = run(capsys, "smoke", *where, "--cert", flags[3])
    assert (status, err) == (
        1,
        "error: --cert is given without --key: a client's certificate takes both\n",
    )
    with pytest.raises(SystemExit):
        k6.main(["smoke", *flags])
    assert "are for --target" in capsys.readouterr().err


def test_steady_makes_the_calls_that_it_should_through_a_retriever_of_its_own(volume, capsys):
    flags = ("--duration", "2s", "--rate", "50", "--connections", "50", "--max-p99-ms", "4000")
    status, results, err = run(capsys, "steady", "--volume", str(volume), *flags)
    assert status == 0, err
    assert 95 <= calls(results)["all"] <= 105
    assert sum(worker["calls"] for worker in results["workers"]) >= 95


def test_a_threshold_that_is_missed_fails_the_run_and_is_named(service, volume, capsys):
    flags = ("--duration", "1s", "--rate", "20", "--connections", "2", "--max-p99-ms", "0.001")
    where = ("--target", service.target, "--volume", str(volume))
    status, results, err = run(capsys, "steady", *where, *flags)
    assert status == 1
    assert not results["passed"]
    assert len(results["missed"]) == 1
    assert "steady missed: grpc_req_duration: p(99)<0.001 was wanted, it was " in err


def test_ids_that_arent_known_fail_the_run(service, tmp_path, capsys):
    users, items = tmp_path / "users", tmp_path / "items"
    # The first is asked for before the run.
    users.write_text("u1\nnobody\n")
    items.write_text("i1\n")
    files = ("--user-ids", str(users), "--item-ids", str(items))
    status, results, err = run(capsys, "smoke", "--target", service.target, *files)
    assert status == 1
    assert results["rows"][0]["failed"] > 0
    assert "failed_calls: count==0 was wanted" in err
    assert "status NotFound" in err


def test_a_spike_may_be_refused_but_not_fail(volume, tmp_path, capsys):
    flags = {"workers": 1, "threads": 1, "max_calls": 1, "drain_seconds": 0}
    with Service(volume, tmp_path / "log", **flags) as service:
        service.wait_until_all_serve(read_label(volume, "current"))
        where = ("--target", service.target, "--volume", str(volume))
        load = ("--duration", "4s", "--rate", "40", "--connections", "40", "--max-p99-ms", "4000")
        status, results, err = run(capsys, "spike", *where, *load)
    everything = results["rows"][-1]
    assert everything["refused"] > 0
    assert everything["failed"] == 0
    # With one call at a time even the calm parts may be refused some: nothing else may be missed.
    assert all(line.startswith("refused_calls{scenario:") for line in results["missed"]), err
    assert status == (1 if results["missed"] else 0)
    assert {row["calls"] for row in results["rows"]} >= {
        "all, before the spike",
        "all, after the spike",
    }


def test_publishing_and_rolling_back_fails_no_call(service, volume, capsys):
    current = read_label(volume, "current")
    where = ("--target", service.target, "--volume", str(volume))
    load = ("--duration", "5s", "--rate", "40", "--connections", "40", "--max-p99-ms", "4000")
    status, results, err = run(capsys, "publish_and_roll_back", *where, *load)
    assert status == 0, err
    assert len(results["switch_seconds"]) >= 2
    assert results["rows"][-1]["failed"] == 0
    assert read_label(volume, "current") == current
    assert len(list_versions(volume)) == 2


def test_nothing_at_the_target(capsys):
    began = time.monotonic()
    status, results, err = run(capsys, "smoke", "--target", f"127.0.0.1:{free_port()}")
    assert (status, results) == (1, None)
    assert err.startswith("error: no retriever answers at 127.0.0.1:")
    assert time.monotonic() - began < SOON


def test_a_target_that_says_nothing(capsys):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        status, results, err = run(capsys, "smoke", "--target", f"127.0.0.1:{silent.getsockname()[1]}")
    assert (status, results) == (1, None)
    assert err.startswith("error: no retriever answers at 127.0.0.1:")
    assert time.monotonic() - began < SOON


def test_the_scripts_alone_say_that_nothing_is_at_the_target():
    target = f"127.0.0.1:{free_port()}"
    command = [k6_run.find_k6(), "run", "--quiet", "--no-usage-report", "--address", ""]
    done = subprocess.run(
        [*command, "-e", f"TARGET={target}", str(k6_run.SCRIPTS / "steady.js")],
        capture_output=True,
        text=True,
        timeout=SOON,
        check=False,
    )
    assert done.returncode == k6_run.ABORTED
    assert f"no retriever answers at {target}" in done.stderr


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP])
def test_a_server_that_ends_mid_run_ends_the_run(of_its_own, volume, capsys, sign):
    pids = [of_its_own.pid, *of_its_own.worker_pids()]

    def end():
        of_its_own.wait_until(lambda status: sum(worker.calls for worker in status.workers) > 30)
        for pid in pids:
            os.kill(pid, sign)

    thread = threading.Thread(target=end)
    thread.start()
    began = time.monotonic()
    try:
        where = ("--target", of_its_own.target, "--volume", str(volume))
        load = ("--duration", "10m", "--rate", "30", "--connections", "8", "--timeout", "1s")
        status, results, err = run(capsys, "steady", *where, *load)
    finally:
        thread.join()
    assert status == 1
    assert time.monotonic() - began < 2 * SOON
    assert not results["passed"]
    assert results["rows"][-1]["failed"] > 0
    last = err.strip().splitlines()[-1]
    assert last.startswith(f"error: steady: test aborted: {of_its_own.target} stopped answering: ")


def test_sigterm_leaves_nothing_behind(volume):
    command = [sys.executable, "-m", "tests.load.k6", "soak", "--volume", str(volume)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    children = {}
    try:
        end = time.monotonic() + SOON
        while not any("k6 run" in name for name in children.values()) and time.monotonic() < end:
            time.sleep(0.05)
            children = descendants(process.pid)
        assert any("retriever serve" in name for name in children.values())
        process.terminate()
        assert process.wait(timeout=SOON) == 128 + signal.SIGTERM
        wait_for_the_end(children, seconds=SOON)
    finally:
        for pid in (process.pid, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


def test_h2load_counts_what_the_workers_answered(service, volume, capsys):
    try:
        h2load.find()
    except k6.LoadError as error:
        pytest.skip(str(error))
    arguments = ["--target", service.target, "--volume", str(volume), "--calls", "300"]
    assert h2load.main([*arguments, "--connections", "4", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert (results["answered"], results["failed"]) == (300, 0)
    assert sum(worker["calls"] for worker in results["workers"]) >= 300


def descendants(pid):
    """Process id -> command line, of all that it started."""
    found = {}
    for child in _children(pid):
        found[child] = _command(child)
        found.update(descendants(child))
    return found


def _children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:  # noqa: PTH123
            return [int(each) for each in file.read().split()]
    except FileNotFoundError:
        return []


def _command(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123
            return file.read().replace(b"\0", b" ").decode()
    except FileNotFoundError:
        return ""

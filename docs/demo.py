"""The whole path on MovieLens 100K: train, publish, serve, and ask through our own client.

Run by `make demo`. What the retriever answers stands beside LightFM's own exact scoring.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from lightfm_retriever.hosting import terminal
from lightfm_retriever.publication.errors import PublicationError
from lightfm_retriever.publication.vectors.vector_space import best
from lightfm_retriever.publication.volume import FolderVolume
from retriever.client import (
    CallError,
    Condition,
    RecommendRequest,
    RetrieverClient,
    all_of,
    in_range,
    none_of,
)
from retriever.errors import RetrieverError
from trainer.cli import output
from trainer.data import movielens
from trainer.errors import TrainerError
from trainer.pipeline import Places, TrainingResult, train_and_publish
from trainer.progress import Bars
from trainer.promotion.checks import promote_if_passed
from trainer.spec import DataSpec, TrainingSpec

FILM = "50"
USERS = ("3", "25", "450")
# Fargo and Pulp Fiction.
SESSION = ["100", "56"]
BATCH = 64
WORKERS = 2
# So small a catalogue would be scored whole, were it not said how hard to ask the index.
BY_INDEX = 1.0
TARGET_RECALL = 0.99
BOOT_SECONDS = 60

console = Console(width=None if sys.stdout.isatty() else 100, highlight=False)
seconds: dict[str, float] = {}


class DemoError(Exception):
    """The retriever didn't do what it should."""


def main() -> int:
    """Run the demo; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--volume", type=Path, default=Path(".demo/volume"), help="where to publish")
    parser.add_argument("--data-dir", type=Path, default=Path(".data"), help="where MovieLens 100K is")
    options = parser.parse_args()
    # In a pipe too, lines and progress keep their order.
    cast("TextIOWrapper", sys.stdout).reconfigure(line_buffering=True)
    try:
        run(options.volume, options.data_dir)
    except (TrainerError, PublicationError, RetrieverError, DemoError) as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    else:
        return 0
    return 1


def run(volume: Path, data_dir: Path) -> None:
    """All steps, top to bottom."""
    heading("Train on MovieLens 100K and publish")
    # More recall than the default, since the answers stand beside exact ones here.
    spec = TrainingSpec(data=DataSpec(dataset=movielens.NAME), target_recall=TARGET_RECALL)
    places = Places(FolderVolume(volume), data_dir, volume)
    result = train_and_publish(spec, places, reporter=Bars())
    result = promote_if_passed(places.volume, result, label=spec.label)
    seconds.update(result.seconds)
    output.published(result, as_json=False)

    heading(f"Serve with {WORKERS} workers and ask")
    with contextlib.ExitStack() as stack:
        with timed("start"):
            target = stack.enter_context(retriever(volume))
            client = stack.enter_context(RetrieverClient(target, connections=WORKERS))
            client.wait_until_serving(timeout_seconds=BOOT_SECONDS)
        show_neighbours(client, result)
        show_users(client, result)
        show_overlap(client, result)
        show_session(client, result)
        show_filter(client)
        show_batch(client, result)
        began = time.perf_counter()
    seconds["stop"] = time.perf_counter() - began

    heading("Time of every step")
    table = table_of("step", "ms")
    table.columns[1].justify = "right"
    for name, value in seconds.items():
        table.add_row(name, f"{value * 1000:,.1f}")
    table.add_row("together", f"{sum(seconds.values()) * 1000:,.1f}")
    console.print(table)
    heading("Go on")
    for command, purpose in (
        (f"make serve VOLUME={volume}", "serve this publication until Ctrl-C"),
        (".venv/bin/python -m retriever recommend 3", "ask, from another terminal"),
        (
            ".venv/bin/python -m retriever recommend --session 100,56:2 --any-of 'genres=Comedy|Crime'",
            "or as an unknown visitor",
        ),
        (f".venv/bin/python -m trainer versions --volume {volume}", "what is published"),
        (".venv/bin/python -m trainer train --help", "train on your own interactions"),
    ):
        console.print(f"{purpose}:\n  {command}", soft_wrap=True)


def show_neighbours(client: RetrieverClient, result: TrainingResult) -> None:
    """The ten films nearest to one."""
    with timed("SimilarItems"):
        response = client.similar_items(FILM, titles=True, search_effort=BY_INDEX)
    table = table_of("cosine", "film")
    for item in response.items:
        table.add_row(f"{item.score:.4f}", item.title)
    console.print(f"SimilarItems: the ten nearest to [bold]{title_of(result, FILM)}[/bold]")
    console.print(table)


def show_users(client: RetrieverClient, result: TrainingResult) -> None:
    """Known positives, recommendations, and the best by LightFM's exact scoring."""
    console.print("\nRecommend: what a user hasn't seen, best first, beside LightFM's exact scoring")
    for user_id in USERS:
        with timed("Recommend"):
            response = client.recommend(user_id, limit=3, titles=True, search_effort=BY_INDEX)
        known = ", ".join(title_of(result, item_id) for item_id in known_positives(result, user_id))
        console.print(f"[bold]user {user_id}[/bold] liked {known}", soft_wrap=True)
        table = table_of("Recommend, by Annoy", "LightFM's predict, all items")
        for item, row, score in zip(response.items, *exact_best(result, user_id, 3), strict=True):
            exact_id = result.dataset.items.external_id(row)
            table.add_row(
                f"{item.score:6.3f} {item.title}", f"{score:6.3f} {title_of(result, exact_id)}"
            )
        console.print(table)


def show_overlap(client: RetrieverClient, result: TrainingResult) -> None:
    """How many of LightFM's best ten are among the ten that are served, over all users."""
    items, users = result.dataset.items, result.dataset.users
    overlaps, latencies = {}, []
    with timed("Recommend and predict for all users"):
        for row in range(len(users)):
            user_id = users.external_id(row)
            began = time.perf_counter()
            response = client.recommend(user_id, search_effort=BY_INDEX)
            latencies.append(time.perf_counter() - began)
            served = {item.item_id for item in response.items}
            exact = {items.external_id(row) for row in exact_best(result, user_id, 10)[0].tolist()}
            overlaps[user_id] = len(served & exact)
    shown = ", ".join(f"user {user_id}: {overlaps[user_id]}" for user_id in USERS)
    mean = np.mean(list(overlaps.values()))
    console.print(f"\nOverlap of the two at 10: {shown}; mean of all {len(users)}: {mean:.2f}")
    median, p99 = np.percentile(latencies, [50, 99]) * 1000
    console.print(
        f"Each call as its caller saw it: median {median:.2f} ms, 99th percentile {p99:.2f} ms"
    )


def show_session(client: RetrieverClient, result: TrainingResult) -> None:
    """Recommendations for somebody who isn't a user, and why."""
    with timed("Recommend for a session"):
        response = client.recommend(session=SESSION, limit=5, titles=True, explain=True)
    shown = " and ".join(f"[bold]{title_of(result, item_id)}[/bold]" for item_id in SESSION)
    console.print(f"\nRecommend for a session: an unknown visitor looked at {shown}")
    table = table_of("score", "film", "mostly because of")
    for item in response.items:
        assert item.explanation is not None  # noqa: S101 - it was asked for
        first = item.explanation.contributions[:1]
        because = ", ".join(f"{title_of(result, part.item_id)} ({part.score:+.3f})" for part in first)
        table.add_row(f"{item.score:.4f}", item.title, because)
    console.print(table)


def show_filter(client: RetrieverClient) -> None:
    """Recommendations among some of the items."""
    wanted: list[Condition] = [
        all_of("genres", "Romance"),
        none_of("genres", "Drama"),
        in_range("release_year", min=1990),
    ]
    with timed("Recommend with a filter"):
        response = client.recommend(
            USERS[0], limit=5, titles=True, attributes=["genres", "release_year"], filter=wanted
        )
    console.print(
        "\nRecommend with a filter: romances without drama since 1990 for "
        f"[bold]user {USERS[0]}[/bold]; {response.candidates - response.filtered} may be shown"
    )
    table = table_of("score", "film", "genres")
    for item in response.items:
        genres = item.attributes.get("genres", [])
        table.add_row(f"{item.score:.4f}", item.title, ", ".join(cast("list[str]", genres)))
    console.print(table)


def show_batch(client: RetrieverClient, result: TrainingResult) -> None:
    """How much less many recommendations cost together."""
    users = result.dataset.users
    requests = [RecommendRequest(users.external_id(row)) for row in range(len(users))]
    began = time.perf_counter()
    with timed("BatchRecommend for all users"):
        answers = [
            answer
            for start in range(0, len(requests), BATCH)
            for answer in client.batch_recommend(requests[start : start + BATCH])
        ]
    if any(isinstance(answer, CallError) for answer in answers):
        raise DemoError("an entry of a batch failed")
    each = (time.perf_counter() - began) / len(requests)
    console.print(
        f"\nBatchRecommend for all {len(requests)} users, {BATCH} a call: {each * 1e6:.0f} µs for each"
    )


def known_positives(result: TrainingResult, user_id: str) -> list[str]:
    """Three training items that the user rated highest."""
    ratings = result.dataset.train[result.dataset.users.row(user_id)]
    rows = ratings.indices[best(ratings.data, 3)]
    return [result.dataset.items.external_id(row) for row in rows.tolist()]


def exact_best(
    result: TrainingResult, user_id: str, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows and scores of the unseen items that LightFM itself scores highest, all items scored."""
    dataset = result.dataset
    user = dataset.users.row(user_id)
    scores = result.model.predict(
        user,
        np.arange(len(dataset.items)),
        user_features=dataset.user_features,
        item_features=dataset.item_features,
    )
    scores[dataset.train[user].indices] = -np.inf
    rows = best(scores, count)
    return rows, scores[rows]


def title_of(result: TrainingResult, item_id: str) -> str:
    """An item's title."""
    row = result.dataset.items.row(item_id)
    return item_id if row is None or result.dataset.titles is None else result.dataset.titles[row]


@contextlib.contextmanager
def retriever(volume: Path) -> Iterator[str]:
    """Run a retriever on a free port, and stop it at the end; yields where it listens."""
    command = [sys.executable, "-m", "retriever", "serve", "--volume", str(volume)]
    command += ["--listen", "127.0.0.1:0", "--workers", str(WORKERS), "--drain-seconds", "0"]
    log = volume.parent / "retriever.log"
    with (
        log.open("w") as errors,
        # Ctrl-C is for this process, which then stops the retriever.
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, process_group=0
        ) as process,
    ):
        try:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            line = process.stdout.readline()
            if not line:
                raise DemoError(f"the retriever didn't start; its log is {log}")
            console.print(f"[dim]{line.strip()}; log in {log}[/dim]", soft_wrap=True)
            yield line.split()[2]
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def timed(name: str) -> Iterator[None]:
    """Add the duration of a step."""
    began = time.perf_counter()
    yield
    seconds[name] = seconds.get(name, 0) + time.perf_counter() - began


def heading(text: str) -> None:
    """Begin a part of the output."""
    console.print(f"\n[bold]== {text}[/bold]")


def table_of(*columns: str) -> Table:
    """A plain table."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


if __name__ == "__main__":
    sys.exit(terminal.run(main))

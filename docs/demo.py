"""Train on MovieLens 100K, publish, serve, and ask over gRPC.

`make demo` runs it. It shows the retriever's answers next to LightFM's own scores of all films.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import cast

import numpy as np
from rich.console import Console
from rich.table import Table

from lightfm_retriever.hosting import terminal
from lightfm_retriever.publication.errors import PublicationError
from lightfm_retriever.publication.vectors.vector_space import best
from lightfm_retriever.publication.volume import Volume
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

FILM = "Star Wars (1977)"
USERS = ("3", "25", "450")
SESSION = ("Fargo (1996)", "Pulp Fiction (1994)")
BATCH = 64
WORKERS = 2
BOOT_SECONDS = 60

console = Console(width=None if sys.stdout.isatty() else 100, highlight=False)


class DemoError(Exception):
    """A step of the demo failed."""


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
        return 1
    return 0


def run(volume: Path, data_dir: Path) -> None:
    """Run all steps, top to bottom."""
    began = time.perf_counter()
    heading("Train on MovieLens 100K and publish")
    spec = TrainingSpec(data=DataSpec(dataset=movielens.NAME), model="lightfm", backend="auto")
    places = Places(Volume(volume), data_dir, volume)
    result = train_and_publish(spec, places, reporter=Bars())
    result = promote_if_passed(places.volume, result, label=spec.label)
    output.published(result, as_json=False)

    heading(f"Serve with {WORKERS} workers and ask")
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(retriever(volume))
        client = stack.enter_context(RetrieverClient(target, connections=WORKERS))
        client.wait_until_serving(timeout_seconds=BOOT_SECONDS)
        show_neighbours(client, result)
        show_users(client, result)
        show_overlap(client, result)
        show_session(client, result)
        show_filter(client)
        show_batch(client, result)
    console.print(f"\nAll of this took {time.perf_counter() - began:.0f} s.")

    heading("Next steps")
    program = ".venv/bin/lightfm-retriever"
    film = id_of(result, FILM)
    for number, (purpose, command) in enumerate(
        (
            ("Serve this publication until Ctrl-C", f"make serve VOLUME={volume}"),
            ("Ask it, from another terminal", f"{program} similar-items {film}"),
            ("Train on your own interactions", "docs/tutorials/your-own-csv.md shows how"),
        ),
        start=1,
    ):
        console.print(f"{number}. {purpose}:\n     {command}", soft_wrap=True)


def show_neighbours(client: RetrieverClient, result: TrainingResult) -> None:
    """Show the ten films nearest to one."""
    response = client.similar_items(id_of(result, FILM), titles=True)
    console.print(f"\nSimilarItems: the ten films nearest to [bold]{FILM}[/bold]")
    print_table(("cosine", "film"), [(f"{own.score:.4f}", own.title) for own in response.items])


def show_users(client: RetrieverClient, result: TrainingResult) -> None:
    """Show a user's highest ratings, the recommended films, and LightFM's own highest scores."""
    dataset = result.dataset
    console.print("\nRecommend: the films that a user hasn't seen, best first")
    for user_id in USERS:
        response = client.recommend(user_id, limit=3, titles=True)
        ratings = dataset.train[dataset.users.row(user_id)]
        liked = ", ".join(dataset.titles[row] for row in ratings.indices[best(ratings.data, 3)])
        console.print(f"[bold]user {user_id}[/bold] liked {liked}", soft_wrap=True)
        served = [f"{item.score:6.3f} {item.title}" for item in response.items]
        exact = [
            f"{score:6.3f} {title_of(result, item_id)}"
            for item_id, score in exact_best(result, user_id, 3)
        ]
        columns = ("Recommend", "LightFM's own predict, all films")
        print_table(columns, zip(served, exact, strict=True))


def show_overlap(client: RetrieverClient, result: TrainingResult) -> None:
    """Compare the recommended films with LightFM's best ten, for every user."""
    users = result.dataset.users
    overlaps, latencies = [], []
    for user_id in users:
        began = time.perf_counter()
        response = client.recommend(user_id)
        latencies.append(time.perf_counter() - began)
        served = {item.item_id for item in response.items}
        overlaps.append(len(served & {item_id for item_id, _ in exact_best(result, user_id, 10)}))
    median, p99 = np.percentile(latencies, [50, 99]) * 1000
    console.print(
        f"\nFor all {len(users)} users, {np.mean(overlaps):.2f} of the 10 films served are LightFM's "
        f"own ten best.\nA call took {median:.2f} ms (median), {p99:.2f} ms (99th percentile)."
    )


def show_session(client: RetrieverClient, result: TrainingResult) -> None:
    """Show recommendations for an unknown visitor, and the reason for each."""
    session = [id_of(result, title) for title in SESSION]
    response = client.recommend(session=session, limit=5, titles=True, explain=True)
    shown = " and ".join(f"[bold]{title}[/bold]" for title in SESSION)
    console.print(f"\nRecommend for a session: an unknown visitor looked at {shown}")
    rows = []
    for item in response.items:
        assert item.explanation is not None  # noqa: S101 - it was asked for
        first = item.explanation.contributions[0]
        because = f"{title_of(result, first.item_id)} ({first.score:+.3f})"
        rows.append((f"{item.score:.4f}", item.title, because))
    print_table(("score", "film", "mostly because of"), rows)


def show_filter(client: RetrieverClient) -> None:
    """Show recommendations among the films that match a filter."""
    wanted: list[Condition] = [
        all_of("genres", "Romance"),
        none_of("genres", "Drama"),
        in_range("release_year", min=1990),
    ]
    response = client.recommend(
        USERS[0], limit=5, titles=True, attributes=["genres", "release_year"], filter=wanted
    )
    console.print(
        f"\nRecommend with a filter: romances since 1990, no drama, for [bold]user {USERS[0]}[/bold]; "
        f"{response.candidates - response.filtered} films match"
    )
    rows = []
    for item in response.items:
        genres = cast("list[str]", item.attributes.get("genres", []))
        rows.append((f"{item.score:.4f}", item.title, ", ".join(genres)))
    print_table(("score", "film", "genres"), rows)


def show_batch(client: RetrieverClient, result: TrainingResult) -> None:
    """Show the time of a recommendation in a batch."""
    requests = [RecommendRequest(user_id) for user_id in result.dataset.users]
    began = time.perf_counter()
    answers = [
        answer
        for start in range(0, len(requests), BATCH)
        for answer in client.batch_recommend(requests[start : start + BATCH])
    ]
    each = (time.perf_counter() - began) / len(requests)
    if any(isinstance(answer, CallError) for answer in answers):
        raise DemoError("an entry of a batch failed")
    console.print(
        f"\nBatchRecommend for all {len(requests)} users, {BATCH} a call: {each * 1e6:.0f} µs a user"
    )


def exact_best(result: TrainingResult, user_id: str, count: int) -> Iterator[tuple[str, float]]:
    """Yield ids and scores of the unseen films that LightFM itself scores highest."""
    dataset = result.dataset
    user = dataset.users.row(user_id)
    scores = result.model.predict(
        user,
        np.arange(len(dataset.items)),
        user_features=dataset.user_features,
        item_features=dataset.item_features,
    )
    scores[dataset.train[user].indices] = -np.inf
    for row in best(scores, count).tolist():
        yield dataset.items.external_id(row), scores[row]


def title_of(result: TrainingResult, item_id: str) -> str:
    """Return an item's title."""
    return result.dataset.titles[result.dataset.items.row(item_id)]


def id_of(result: TrainingResult, title: str) -> str:
    """Return the id of the item with a title."""
    return result.dataset.items.external_id(result.dataset.titles.index(title))


@contextlib.contextmanager
def retriever(volume: Path) -> Iterator[str]:
    """Run a retriever on a free port, and stop it at the end; yields its address."""
    command = [sys.executable, "-m", "retriever", "serve", "--volume", str(volume)]
    command += ["--listen", "127.0.0.1:0", "--workers", str(WORKERS), "--drain-seconds", "0"]
    log = volume.parent / "retriever.log"
    with (
        log.open("w") as errors,
        # Only this process handles Ctrl-C. It then stops the retriever.
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


def heading(text: str) -> None:
    """Begin a part of the output."""
    console.print(f"\n[bold]== {text}[/bold]")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a plain table."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    sys.exit(terminal.run(main))

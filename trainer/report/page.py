"""The report as one HTML page that needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from lightfm_retriever.publication.manifest import Manifest
from trainer.evaluation.metric_rows import cold_rows
from trainer.report.accuracy import Accuracy, Precision, Sample
from trainer.report.deployment import Deployment
from trainer.report.pictures import name_of
from trainer.report.scaling import Point

_STYLE = """
:root { color-scheme: light }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff }
h1, h2 { line-height: 1.2 } h2 { margin-top: 2.5rem }
img { max-width: 100%; height: auto }
table { border-collapse: collapse; margin: 1rem 0; font-size: .9rem; display: block; overflow-x: auto }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd; vertical-align: top; text-align: left }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
p.note { color: #555 }
"""


def render(
    manifest: Manifest,
    accuracy: Accuracy,
    points: Sequence[Point],
    deployments: Sequence[Deployment],
    *,
    pictures: dict[str, Path],
    conditions: Sequence[str],
) -> str:
    """The page; `conditions` are sentences about how it was measured."""
    title = f"Indexes of {manifest.version}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        (
            f"<p>{manifest.items:,} items, {manifest.users:,} users, {manifest.components} components; "
            f"published {escape(manifest.created_at)} from {escape(manifest.dataset.name)}.</p>"
        ),
        _list(conditions),
        "<h2>What is published</h2>",
        _published(manifest),
        "<h2>(a) Time per query and number of vectors</h2>",
        _image(pictures["scaling"], "Time of one query against the number of vectors"),
        _points(points),
        "<h2>(b) Precision on the held-out test</h2>",
    ]
    if accuracy.precision:
        parts += [
            _image(pictures["precision"], "precision@10 by backend, with and without item biases"),
            _precision(accuracy.precision),
        ]
    else:
        parts.append(
            "<p>The publication has no held-out interactions: train with a split, or publish with "
            "--held-out.</p>"
        )
    parts += _cold(manifest)
    parts += [
        "<h2>(c) Recall and time per query</h2>",
        _image(pictures["curves"], "Recall@10 against time per query, a curve for each backend"),
        "<h2>(d) Build time, file size, memory</h2>",
        _image(pictures["deployments"], "Seconds to serving, size of files, memory of workers"),
        _deployments(deployments),
        "<h2>(e) Samples</h2>",
        (
            "<p class=note>Users: three of the items they have seen, those that the model scores "
            "highest, then the best three of those they haven't.</p>"
        ),
        _samples(accuracy.users, known="seen"),
        "<p class=note>Items: the three nearest by cosine.</p>",
        _samples(accuracy.items, known=""),
    ]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n"
        "</body>\n</html>\n"
    )


def _published(manifest: Manifest) -> str:
    rows = []
    for name, index in manifest.indexes.items():
        target = "not tuned" if index.target_recall is None else f"{index.target_recall:g}"
        rows.append(
            [
                name,
                name_of(index.backend),
                _settings(index.build),
                _settings(index.query),
                target,
                f"{index.recall_at_10:.4f}",
                f"{index.query_microseconds:,.0f}",
                str(len(index.trials)),
            ]
        )
    return _table(
        ["index", "backend", "build", "query", "target", "recall@10", "µs", "settings measured"],
        rows,
        texts=4,
    )


def _points(points: Sequence[Point]) -> str:
    rows = [
        [
            point.vectors,
            f"{point.items:,}",
            name_of(point.backend),
            f"{point.query_microseconds:,.0f}",
            f"{point.recall_at_10:.4f}",
            f"{point.build_seconds:,.2f}",
            f"{point.file_bytes / 1e6:,.1f}",
        ]
        for point in points
    ]
    table = _table(
        ["vectors", "items", "backend", "µs a query", "recall@10", "build, s", "file, MB"],
        rows,
        texts=1,
        also_text={2},
    )
    return f"<details><summary>All figures</summary>{table}</details>"


def _precision(rows: Sequence[Precision]) -> str:
    return _table(
        [
            "backend",
            "all items",
            "seen excluded",
            "all items, no item biases",
            "seen excluded, no item biases",
        ],
        [
            [
                name_of(row.backend),
                *(
                    f"{value:.4f}"
                    for value in (
                        row.all_items,
                        row.unseen,
                        row.all_items_without_biases,
                        row.unseen_without_biases,
                    )
                ),
            ]
            for row in rows
        ],
        texts=1,
    )


def _cold(manifest: Manifest) -> list[str]:
    rows = cold_rows(manifest.metrics)
    if not rows:
        return []
    table = _table(
        ["users, seen excluded", "precision@10", "of that by their own vectors"],
        [
            [row.title, f"{row.precision:.4f}", "-" if row.ratio is None else f"{row.ratio:.0%}"]
            for row in rows
        ],
        texts=1,
    )
    return [
        "<h3>Users without a vector</h3>",
        "<p class=note>The same users, as if the model had no vector of them; exact search.</p>",
        table,
    ]


def _deployments(rows: Sequence[Deployment]) -> str:
    workers = sorted(rows[0].pss_bytes)
    return _table(
        [
            "items",
            "backend",
            "build, s",
            "index (build, measure, tune), s",
            "publish, s",
            "load, s",
            "fitted to serving, s",
            "index files, MB",
            *(f"PSS of {count} worker{'s' * (count > 1)}, MB" for count in workers),
        ],
        [
            [
                f"{row.items:,}",
                name_of(row.backend),
                f"{row.build_seconds:,.2f}",
                f"{row.index_seconds:,.2f}",
                f"{row.publish_seconds:,.2f}",
                f"{row.load_seconds:,.2f}",
                f"{row.total_seconds:,.2f}",
                f"{row.index_bytes / 1e6:,.1f}",
                *(f"{row.pss_bytes[count] / 1e6:,.0f}" for count in workers),
            ]
            for row in rows
        ],
        texts=0,
        also_text={1},
    )


def _samples(samples: Sequence[Sample], *, known: str) -> str:
    if not samples:
        return "<p>There is none.</p>"
    backends = list(samples[0].answers)
    head = ["", *([known] if known else []), *(name_of(backend) for backend in backends)]
    rows = [
        [
            sample.subject,
            *(["\n".join(sample.known)] if known else []),
            *("\n".join(sample.answers[backend]) for backend in backends),
        ]
        for sample in samples
    ]
    return _table(head, rows, texts=len(head))


def _table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    texts: int,
    also_text: frozenset[int] | set[int] = frozenset(),
) -> str:
    """A table whose first `texts` columns, and `also_text`, hold text, the others numbers."""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{'' if place < texts or place in also_text else ' class=n'}>"
            f"{escape(value).replace(chr(10), '<br>')}</{tag}>"
            for place, value in enumerate(row)
        )

    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{cells('th', head)}</tr></thead>\n<tbody>{body}</tbody></table>"


def _list(sentences: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def _image(path: Path, text: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<p><img alt="{escape(text)}" src="data:image/png;base64,{data}"></p>'


def _settings(settings: dict[str, str | bool | int | float | None]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "-"

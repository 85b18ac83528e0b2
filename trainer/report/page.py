"""Renders the report as one HTML page that needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from lightfm_retriever.publication.manifest import Manifest
from trainer.evaluation.confidence import share_interval
from trainer.evaluation.measures import KS
from trainer.evaluation.metric_rows import MEASURES, UNSEEN, cold_rows
from trainer.report.accuracy import Accuracy, Precision, Sample
from trainer.report.deployment import Deployment
from trainer.report.pictures import name_of
from trainer.report.scaling import Point

# For each column's heading, a function from a row's figures to the text of the cell.
_Columns = dict[str, Callable[..., str]]
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
    """Render the page. `conditions` are sentences about the machine and the method."""
    title = f"Indexes of {manifest.version}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        (
            f"<p>{manifest.items:,} items, {manifest.users:,} users, {manifest.components} components; "
            f"published {escape(manifest.created_at)} from {escape(manifest.dataset.name)}.</p>"
        ),
        _list(conditions),
        "<h2>The published indexes</h2>",
        _published(manifest),
        "<h2>(a) Time per query and number of vectors</h2>",
        _image(pictures["scaling"], "Time of one query by number of vectors"),
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
            "<p>The publication has no held-out interactions. For this section, train with a split, or "
            "publish with --held-out.</p>"
        )
    parts += _measures(manifest)
    parts += _cold(manifest)
    parts += [
        "<h2>(c) Recall and time per query</h2>",
        _image(pictures["curves"], "Recall@10 by time per query, a curve for each backend"),
        "<h2>(d) Build time, file size, memory</h2>",
        _image(pictures["deployments"], "Seconds to serving, size of files, memory of workers"),
        _deployments(deployments),
        "<h2>(e) Samples</h2>",
        (
            "<p class=note>Users: the three seen items with the highest scores of the model, then the "
            "three best unseen items.</p>"
        ),
        _samples(accuracy.users, known="seen"),
        "<p class=note>Items: the three nearest items by cosine similarity.</p>",
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
    columns: _Columns = {
        "index": lambda own: own[0],
        "backend": lambda own: name_of(own[1].backend),
        "build": lambda own: _settings(own[1].build),
        "query": lambda own: _settings(own[1].query),
        "target": lambda own: (
            "not tuned" if own[1].target_recall is None else f"{own[1].target_recall:g}"
        ),
        "recall@10": lambda own: f"{own[1].recall_at_10:.4f}",
        "µs": lambda own: f"{own[1].query_microseconds:,.0f}",
        "settings measured": lambda own: str(len(own[1].trials)),
    }
    return _table(manifest.indexes.items(), columns, texts=("index", "backend", "build", "query"))


def _points(points: Sequence[Point]) -> str:
    columns: _Columns = {
        "vectors": lambda point: point.vectors,
        "items": lambda point: f"{point.items:,}",
        "backend": lambda point: name_of(point.backend),
        "µs a query": lambda point: f"{point.query_microseconds:,.0f}",
        "recall@10": lambda point: f"{point.recall_at_10:.4f}",
        "build, s": lambda point: f"{point.build_seconds:,.2f}",
        "file, MB": lambda point: f"{point.file_bytes / 1e6:,.1f}",
    }
    table = _table(points, columns, texts=("vectors", "backend"))
    return f"<details><summary>All figures</summary>{table}</details>"


def _precision(rows: Sequence[Precision]) -> str:
    columns: _Columns = {
        "backend": lambda row: name_of(row.backend),
        "all items": lambda row: f"{row.all_items:.4f}",
        "seen excluded": lambda row: f"{row.unseen:.4f}",
        "all items, no item biases": lambda row: f"{row.all_items_without_biases:.4f}",
        "seen excluded, no item biases": lambda row: f"{row.unseen_without_biases:.4f}",
    }
    return _table(rows, columns, texts=("backend",))


def _measures(manifest: Manifest) -> list[str]:
    """Render the measures of unseen items by length of the list, and those of segments."""
    metrics, facts = manifest.metrics, manifest.evaluation
    names = {measure: title for measure, title in MEASURES if measure != "auc"}
    lengths = [k for k in KS if UNSEEN.format(f"ndcg_at_{k}") in metrics]
    if not lengths:
        return []

    def cell(k: int, measure: str) -> str:
        name = UNSEEN.format(f"{measure}_at_{k}")
        if name not in metrics:
            return "-"
        if facts is None or (error := facts.errors.get(name)) is None:
            return f"{metrics[name]:.4f}"
        interval = share_interval(metrics[name], error, facts.evaluated_users)
        return f"{metrics[name]:.4f} ({interval.low:.3f}-{interval.high:.3f})"

    columns: _Columns = {"items": lambda k: f"{k}"}
    for measure, title in names.items():
        columns[title] = lambda k, measure=measure: cell(k, measure)
    parts = [
        "<h3>Measures by length of the list</h3>",
        "<p class=note>Unseen items, by exact search; in brackets the 95 % confidence interval.</p>",
        _table(lengths, columns, texts=()),
    ]
    if facts is not None and facts.segments:
        columns = {
            "segment": lambda own: own.by,
            "value": lambda own: own.value,
            "meaning": lambda own: own.rule,
            "users": lambda own: f"{own.users:,}",
        }
        for measure, title in names.items():
            columns[f"{title}@10"] = lambda own, measure=measure: _known(
                own.metrics.get(f"{measure}_at_10")
            )
        parts += [
            "<h3>Segments of the test</h3>",
            _table(facts.segments, columns, texts=("segment", "value", "meaning")),
        ]
    return parts


def _known(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _cold(manifest: Manifest) -> list[str]:
    rows = cold_rows(manifest.metrics)
    if not rows:
        return []
    columns: _Columns = {
        "users, seen excluded": lambda row: row.title,
        "precision@10": lambda row: f"{row.precision:.4f}",
        "share of that with own vectors": lambda row: "-" if row.ratio is None else f"{row.ratio:.0%}",
    }
    return [
        "<h3>Users without a vector</h3>",
        "<p class=note>The same users, without their vectors in the model, by exact search.</p>",
        _table(rows, columns, texts=("users, seen excluded",)),
    ]


def _deployments(rows: Sequence[Deployment]) -> str:
    columns: _Columns = {
        "items": lambda row: f"{row.items:,}",
        "backend": lambda row: name_of(row.backend),
        "build, s": lambda row: f"{row.build_seconds:,.2f}",
        "index (build, measure, tune), s": lambda row: f"{row.index_seconds:,.2f}",
        "publish, s": lambda row: f"{row.publish_seconds:,.2f}",
        "load, s": lambda row: f"{row.load_seconds:,.2f}",
        "fitted to serving, s": lambda row: f"{row.total_seconds:,.2f}",
        "index files, MB": lambda row: f"{row.index_bytes / 1e6:,.1f}",
    }
    for count in sorted(rows[0].pss_bytes):
        head = f"PSS of {count} worker{'s' * (count > 1)}, MB"
        columns[head] = lambda row, count=count: f"{row.pss_bytes[count] / 1e6:,.0f}"
    return _table(rows, columns, texts=("backend",))


def _samples(samples: Sequence[Sample], *, known: str) -> str:
    if not samples:
        return "<p>The publication has no samples.</p>"
    columns: _Columns = {"": lambda sample: sample.subject}
    if known:
        columns[known] = lambda sample: "\n".join(sample.known)
    for backend in samples[0].answers:
        columns[name_of(backend)] = lambda sample, of=backend: "\n".join(sample.answers[of])
    return _table(samples, columns, texts=columns)


def _table(rows: Iterable[Any], columns: _Columns, *, texts: Container[str]) -> str:
    """Render a table. The columns with the headings `texts` hold text, the others numbers."""

    def cells(tag: str, values: Mapping[str, str]) -> str:
        return "".join(
            f"<{tag}{'' if head in texts else ' class=n'}>"
            f"{escape(value).replace(chr(10), '<br>')}</{tag}>"
            for head, value in values.items()
        )

    head = cells("th", {head: head for head in columns})
    body = "\n".join(
        f"<tr>{cells('td', {head: cell(row) for head, cell in columns.items()})}</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"


def _list(sentences: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def _image(path: Path, text: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<p><img alt="{escape(text)}" src="data:image/png;base64,{data}"></p>'


def _settings(settings: dict[str, str | bool | int | float | None]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "-"

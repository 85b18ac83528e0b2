"""Mistakes on the command lines: each is answered by words for people, by none of Python's."""

from __future__ import annotations

import re

import pytest

from retriever.__main__ import main as retriever
from trainer.__main__ import main as trainer

_OF_PYTHON = re.compile(
    r"\b(None|True|False|NoneType|dict|str|int|float|Traceback|Errno|object at)\b|\w(Error|Exception)\b"
    r"|<class|\[['\"\d]|\(\d+, |\(default: (\)|\[)"
)
MISTAKES = {
    trainer: """
        train --volume v
        train --volume v --interactions a.csv --dataset movielens-100k
        train --volume v --interactions none.csv
        train --volume v --interactions . --epochs many
        train --volume v --interactions a.csv --epochs 0
        train --volume v --interactions a.csv --learning-rate x
        train --volume v --interactions a.csv --learning-rate nan
        train --volume v --interactions a.csv --loss hinge
        train --volume v --interactions a.csv --backend annoy,x
        train --volume v --interactions a.csv --trees 0
        train --volume v --interactions a.csv --warm-start --no-label
        train --volume v --interactions a.csv --detach
        train --volume v --interactions a.csv --request-id x
        train --volume v --interactions a.csv --database-url sqlite:///x
        train --volume v --interactions-sql x
        train --volume v --interactions a.csv --half-life-days -1
        train --volume v --interactions a.csv --split-share 2
        train --volume v --interactions a.csv --split none --min-auc x
        train --volume v --interactions a.csv --event-weights view
        train --volume v --interactions a.csv --event-weights view=x
        train --volume v --interactions a.csv --item-attributes a:b
        train --volume v --interactions a.csv --items none.csv --item-features x
        train --volume v --interactions a.csv --max-shrinkage 2
        train --volume v --interactions a.csv --target-recall 2
        train --volume v --event-log
        train --volume ftp://x/y --interactions a.csv
        publish --volume v
        publish --volume v --item-vectors none --item-ids none
        report --volume v --max-items x
        tune --interactions a.csv --components 8 2
        tune --interactions a.csv --components 8 x
        tune --interactions a.csv --losses warp warp
        tune --interactions a.csv --trials 0
        versions
        versions --volume none
        versions --volume v --cache-dir x
        version x --volume none
        diff x y --volume none
        promote x --volume none
        promote x --volume v --label 1
        rollback --volume none
        delete x --volume none
        runs --state X
        runs --limit x
        append none.csv --target 127.0.0.1:1
        append a.csv --target 127.0.0.1:1
        remove-events --volume none
        remove-events --from x --volume none
        remove-events --min-weight x --volume none
        verify x --volume none
        serve --volume none
        serve --volume . --listen x
        serve --volume . --retrain-every x --interactions a.csv
        serve --volume . --retrain-every 1h
        serve --volume . --keep x
        serve --volume . --config none.toml
        fetch-dataset x
        unheard
    """,
    retriever: """
        serve
        serve --volume v --workers x
        serve --volume v --workers 0
        serve --volume v --listen x
        serve --volume v --pin x
        serve --volume v --label 1
        serve --volume v --tls-cert x
        serve --volume v --tls-client-ca x
        serve --volume v --online-recall-share 2
        serve --volume v --config none.toml
        serve --volume s3://bucket/place
        recommend
        recommend 1 --session 5
        recommend --session x:y
        recommend 1 --limit many
        recommend 1 --limit 99999999999
        recommend 1 --diversity x
        recommend 1 --unknown x
        recommend 1 --any-of genres
        recommend 1 --range year=x
        recommend 1 --attributes ,
        recommend 1 --max-pages 0
        recommend 1 --target x
        recommend 1 --timeout x
        recommend 1 --ca none
        recommend 1 --cert none
        recommend 1 --client-token-file none
        similar-items
        similar-items --item a=b
        batch-recommend none.jsonl
        status --fleet x
        status --fleet a:1,a:1
        health --liveness --readiness
        unheard
    """,
}
CASES = [
    (program, line.strip())
    for program, lines in MISTAKES.items()
    for line in lines.strip().splitlines()
]


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("user,item\n1,2\n")


@pytest.mark.parametrize(("program", "line"), CASES, ids=[line or "nothing" for _, line in CASES])
def test_a_mistake_is_answered_in_plain_words(program, line, capsys):
    arguments = line.split()
    # A retriever or trainer that isn't there is nobody's mistake here.
    status: object
    try:
        status = program(arguments)
    except SystemExit as ended:
        status = ended.code
    output = capsys.readouterr()
    assert status in (1, 2)
    said = output.err.replace(f"{program.__module__}", "")
    # What the command line itself says is quoted.
    for own in arguments:
        said = said.replace(own, "")
    assert "error: " in said
    assert not _OF_PYTHON.search(said), said

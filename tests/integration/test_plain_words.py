"""Mistakes on the command lines: each is answered by words for people, by none of Python's."""

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
        train --volume v --interactions a.csv --loss hinge
        train --volume v --interactions a.csv --backend annoy,x
        train --volume v --interactions a.csv --warm-start --no-label
        train --volume v --interactions a.csv --database-url sqlite:///x
        train --volume v --interactions a.csv --event-weights view=x
        train --volume v --interactions a.csv --item-attributes a:b
        train --volume v --event-log
        train --volume ftp://x/y --interactions a.csv
        publish --volume v --item-vectors none --item-ids none
        tune --interactions a.csv --losses warp warp
        versions
        versions --volume v --cache-dir x
        promote x --volume v --label 1
        append a.csv --target 127.0.0.1:1
        remove-events --from x --volume none
        serve --volume a.csv
        serve --volume . --retrain-every x --interactions a.csv
        serve --volume . --retrain-every 1h
        unheard
    """,
    retriever: """
        serve --volume v --workers 0
        serve --volume v --listen x
        serve --volume v --tls-cert x
        serve --volume v --config none.toml
        serve --volume s3://bucket/place
        recommend
        recommend --session x:y
        recommend 1 --limit 99999999999
        recommend 1 --any-of genres
        recommend 1 --range year=x
        recommend 1 --attributes ,
        recommend 1 --timeout x
        recommend 1 --ca none
        similar-items --item a=b
        batch-recommend none.jsonl
        status --fleet x
        status --fleet a:1,a:1
        health --liveness --readiness
        unheard
    """,
}
CASES = [
    (program, line.strip()) for program in MISTAKES for line in MISTAKES[program].split("\n")[1:-1]
]


@pytest.mark.parametrize(("program", "line"), CASES, ids=[line for _, line in CASES])
def test_a_mistake_is_answered_in_plain_words(program, line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("user,item\n1,2\n")
    arguments = line.split()
    try:
        status = program(arguments)
    except SystemExit as ended:
        status = ended.code
    output = capsys.readouterr()
    assert status in (1, 2)
    said = output.err
    lines = said.splitlines()
    # One line of error, and after a mistake in the command line one of where to read more.
    assert [line.partition(" ")[0] for line in lines] == ["error:", "See"][:status]
    # What the command line itself says is quoted.
    for own in arguments:
        said = said.replace(own, "")
    assert "error: " in said
    assert not _OF_PYTHON.search(said), said

"""The rules of the house that a tool can check; see docs/contributing.md."""

import ast
import re
import sys
import tomllib
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from recsys.retriever.v1 import retriever_service_pb2 as pb
from setuptools import find_namespace_packages

from lightfm_retriever.publication.search_effort import IndexCosts
from retriever.answering.snapshot import open_snapshot
from retriever.control import ServiceState
from retriever.worker.service import RetrieverServicer
from tests import retrievable

ROOT = Path(__file__).parents[2]
PRODUCT = ("lightfm_retriever", "lightfm_workbench", "retriever", "trainer")
# The nouns of a notebook are those of the project: its volume is the volume, with other methods.
FACADE = "lightfm_workbench"
FILES = [file for package in PRODUCT for file in sorted((ROOT / package).rglob("*.py"))]
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "tests/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
MOST_FILES, MOST_LINES, MOST_PARAMETERS, MOST_PASSED = 15, 300, 6, 11
_FOLDERS = "|".join([*PRODUCT, "tests", "docs", "docker", "protos"])
_PATH = re.compile(rf"`((?:{_FOLDERS})/[\w/-]+(?:\.(?:py|md|toml|proto))?)`")
# Not what Python has public ones for, such as namedtuple's.
_PRIVATE = re.compile(r"_(?!asdict|replace|fields|make|exit)[^_]\w*")
_CONSTANT = re.compile(r"`(?:[\w/]+/)?(\w+)\.(_?[A-Z][A-Z_]{3,})`")


def name_of(path):
    return str(path.relative_to(ROOT))


def test_a_folder_can_be_seen_at_a_glance_and_a_file_be_read_in_one_go():
    counts = Counter(file.parent for file in FILES if file.name != "__init__.py")
    assert {name_of(folder): count for folder, count in counts.items() if count > MOST_FILES} == {}
    lengths = {name_of(file): len(file.read_text().splitlines()) for file in FILES}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_a_function_takes_few_things_and_a_name_means_one_thing():
    """Public classes: one that is found by its name alone is the right one."""
    many, homes = {}, defaultdict(list)
    for file in FILES:
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                own = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                count = len([one for one in own if one.arg not in ("self", "cls")])
                if count > MOST_PARAMETERS:
                    many[f"{name_of(file)}:{node.name}"] = count
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name, name_of(file).startswith(FACADE)].append(name_of(file))
    assert many == {}
    assert {name: files for (name, _), files in homes.items() if len(files) > 1} == {}


@pytest.mark.parametrize("backend", ["exact", "annoy", "faiss", "nmslib"])
def test_a_request_passes_through_few_files(tmp_path, backend):
    version = retrievable.publish(tmp_path, backend=backend, items=300, users=30, components=16)
    snapshot = open_snapshot(tmp_path, version)
    # The index is asked however small it is.
    ranker = replace(snapshot.model.recommend, costs=IndexCosts(0, 0))
    servicer = RetrieverServicer(lambda: ServiceState(label="current"))
    servicer.snapshot = replace(snapshot, model=replace(snapshot.model, recommend=ranker))
    request = pb.RecommendRequest(user_id=snapshot.publication.users.external_id(7))
    servicer.Recommend(request, mock.Mock())
    passed = set()

    def note(frame, event, _):
        file = Path(frame.f_code.co_filename)
        if event == "call" and file.is_relative_to(ROOT) and name_of(file).startswith(PRODUCT):
            passed.add(name_of(file))

    sys.setprofile(note)
    try:
        servicer.Recommend(request, mock.Mock())
    finally:
        sys.setprofile(None)
    assert 5 < len(passed) <= MOST_PASSED, sorted(passed)


def mirrored(test):
    """The text of the module that a test file mirrors, by its path."""
    unit = ROOT / "tests/unit"
    if not (test.is_relative_to(unit) and test.name.startswith("test_")):
        return ""
    module = ROOT / test.parent.relative_to(unit) / test.name.removeprefix("test_")
    return module.read_text() if module.exists() else ""


def private_names(text):
    """Private names that are taken from something else, and their lines."""
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) not in ("self", "cls"):
            names = [node.attr]
        elif isinstance(node, ast.ImportFrom):
            names = [one.name for one in node.names]
        yield from ((node.lineno, name) for name in filter(_PRIVATE.fullmatch, names))


def test_private_names_are_for_the_module_and_its_mirror():
    found = []
    for test in sorted((ROOT / "tests").rglob("*.py")):
        text = test.read_text()
        theirs = mirrored(test)
        for line, name in private_names(text):
            made_here = rf"\b(?:def|class) {name}\b|\bself\.{name}\b|^{name} ="
            if not re.search(made_here, text, re.MULTILINE) and not re.search(rf"\b{name}\b", theirs):
                found.append(f"{name_of(test)}:{line} {name}")
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_name_files_and_constants_that_exist(page):
    text = page.read_text()
    assert [path for path in _PATH.findall(text) if not (ROOT / path).exists()] == []
    gone = []
    for module, constant in _CONSTANT.findall(text):
        texts = [file.read_text() for file in FILES if file.stem == module]
        if not any(re.search(rf"^{constant}\b", own, re.MULTILINE) for own in texts):
            gone.append(f"{module}.{constant}")
    assert gone == []


def test_an_installation_brings_no_name_that_others_may_have():
    """See docs/adr/0024-installed-names.md."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    find, found = settings["packages"]["find"], set()
    for where in find["where"]:
        found |= {*find_namespace_packages(str(ROOT / where), include=find["include"])}
    assert {name.partition(".")[0] for name in found} == {*PRODUCT, "recsys"}

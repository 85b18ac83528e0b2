"""Target: a whole publication with one hostile file, verified, opened and asked as a worker does it.

The manifest agrees with the file: who can write the one can write the other.
"""

import os
import shutil
from functools import partial
from pathlib import Path
from random import Random

import numpy as np

from lightfm_retriever.publication import layout, verification
from lightfm_retriever.publication.errors import PublicationError
from retriever.answering.snapshot import open_snapshot
from retriever.worker.warm_up import warm_up
from tests import publications
from tests.fuzz import mutation, published
from tests.fuzz.retriever_calls import Calls
from tests.fuzz.runner import Execute, note

_BACKENDS = ("annoy", "exact", "faiss", "nmslib")
_QUESTIONS = 25


def prepare(directory: Path) -> None:
    for backend in _BACKENDS:
        published.publish(directory / backend, backend)


def start(directory: Path) -> Execute:
    versions = {
        backend: next(layout.versions_dir(directory / backend).iterdir()) for backend in _BACKENDS
    }

    def execute(random: Random) -> str:
        version = versions[random.choice(_BACKENDS)]
        volume = directory / "hostile"
        shutil.rmtree(volume, ignore_errors=True)
        target = layout.version_dir(volume, version.name)
        # The same files: they are replaced, not written to.
        shutil.copytree(version, target, copy_function=os.link)
        what = _spoil(random, target)
        note(f"{what}, verify")
        try:
            verification.verify(volume, version.name)
        except PublicationError as error:
            return f"{what} refused: {type(error).__name__}"
        note(f"{what}, open")
        try:
            snapshot = open_snapshot(volume, version.name)
            note(f"{what}, warm-up")
            warm_up(snapshot)
        except Exception as error:
            # Whatever it is, a worker says that it can't serve the version.
            return f"{what} not served: {type(error).__name__}"
        calls = Calls(snapshot)
        for _ in range(_QUESTIONS):
            note(f"{what}, ask")
            calls.ask(random, kind=what)
        return f"{what} served"

    return execute


def _spoil(random: Random, directory: Path) -> str:
    if random.random() < 0.2:
        for _ in range(random.choice((1, 1, 2))):
            publications.edit_manifest(directory, partial(mutation.mutate_json, random))
        return layout.MANIFEST
    path = random.choice(sorted({*directory.iterdir()} - {directory / layout.MANIFEST}))
    if path.suffix == ".npy" and random.random() < 0.7:
        data = mutation.mutate_array(random, np.load(path))
    else:
        data = mutation.mutate_bytes(random, path.read_bytes())
    publications.reseal(directory, path.name, data)
    return f"*{path.suffix}" if path.suffix != ".npy" else path.name

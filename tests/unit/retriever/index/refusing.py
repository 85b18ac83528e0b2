"""Opens one index with its file replaced again and again, in a process that may die of it.

    python -m tests.unit.retriever.index.refusing VOLUME VERSION NAME < paths of replacements

Prints a line for each: what the error is, or "opened".
"""

import json
import sys
from pathlib import Path

from lightfm_retriever.publication.errors import InvalidPublicationError
from lightfm_retriever.publication.reader import open_publication
from retriever.errors import SnapshotError
from retriever.index import open_index
from tests.publications import overwrite


def main(volume: str, version: str, name: str) -> None:
    publication = open_publication(Path(volume), version)
    file = publication.manifest.indexes[name].file
    assert file is not None
    for line in sys.stdin:
        overwrite(publication.directory / file, Path(line.rstrip("\n")).read_bytes())
        try:
            open_index(publication, name)
        except (InvalidPublicationError, SnapshotError) as error:
            said = str(error)
        else:
            said = "opened"
        # Now it is over with whatever the library has made, which may be what it can't survive.
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

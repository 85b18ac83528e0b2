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


def main(volume, version, name):
    publication = open_publication(Path(volume), version)
    file = publication.directory / publication.manifest.indexes[name].file
    for line in sys.stdin:
        overwrite(file, Path(line.rstrip("\n")).read_bytes())
        said = "opened"
        try:
            open_index(publication, name)
        except (InvalidPublicationError, SnapshotError) as error:
            said = str(error)
        # Now it is over with whatever the library has made, which may be what it can't survive.
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

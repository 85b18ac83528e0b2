"""What holds for a volume at every instant, whoever was killed when."""

import contextlib
import os
from pathlib import Path

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import NothingToRollBackToError
from lightfm_retriever.publication.labels import list_labels, rollback_target
from lightfm_retriever.publication.reader import list_versions
from lightfm_retriever.publication.verification import verify
from lightfm_retriever.publication.writer import Staging


def assert_sound(volume: Path, *, verified: frozenset[str] = frozenset()) -> tuple[list[str], str]:
    """Check a volume as its readers would, and return its versions and what `current` names.

    Versions never change, so those that were `verified` before need not be again.
    """
    versions = list_versions(volume)
    for version in versions:
        if version not in verified:
            verify(volume, version)
    labels = list_labels(volume)
    assert labels.keys() == {layout.DEFAULT_LABEL}
    current = labels[layout.DEFAULT_LABEL]
    assert current in versions
    verify(volume, current)
    assert sorted(os.listdir(layout.versions_dir(volume))) == versions
    with contextlib.suppress(NothingToRollBackToError):
        assert rollback_target(volume) in {*versions} - {current}
    return versions, current


def assert_staging_is_cleaned_up(volume: Path) -> None:
    """The next writer removes what the killed ones left."""
    with Staging(volume):
        left = [path for path in layout.staging_dir(volume).iterdir() if path.is_file()]
        # A label's temporary file is removed after an hour.
        assert all(path.name.startswith("label-") for path in left)
        for path in left:
            os.utime(path, (0, 0))
    with Staging(volume):
        assert len(os.listdir(layout.staging_dir(volume))) == 1
    assert os.listdir(layout.staging_dir(volume)) == []

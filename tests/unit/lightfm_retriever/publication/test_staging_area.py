from __future__ import annotations

import fcntl

import pytest

from lightfm_retriever.publication import layout, staging_area


@pytest.mark.parametrize("locked_before", [True, False])
def test_a_directory_is_removed_under_its_lock(tmp_path, monkeypatch, locked_before):
    """Otherwise a writer that makes its directory at that moment loses it while it writes."""
    abandoned = layout.staging_dir(tmp_path) / "publish-0123456789abcdef"
    abandoned.mkdir(parents=True)
    if locked_before:
        (abandoned / "lock").write_bytes(b"")
    removed = []

    def remove(path, **options):
        if path == abandoned:
            with (abandoned / "lock").open("a") as lock, pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            removed.append(path)

    with monkeypatch.context() as patch:
        patch.setattr(staging_area.shutil, "rmtree", remove)
        staging_area.remove_abandoned(layout.staging_dir(tmp_path))
    assert removed == [abandoned]

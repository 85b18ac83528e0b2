"""Verifying in a process of its own: the same verdicts, and a verdict on what kills that process."""

from __future__ import annotations

import pytest

from publication import layout, reader
from publication.errors import InvalidPublicationError, PublicationError, VolumeError
from retriever.verification import verify_apart
from tests import publications


def test_a_sound_version_passes(published):
    verify_apart(published.volume, published.version)


@pytest.mark.parametrize("name", [layout.MANIFEST, layout.SEEN_ITEMS])
def test_what_is_wrong_is_said_in_the_same_words(published, name):
    publications.overwrite(published.directory / name, b"{}")
    with pytest.raises(PublicationError) as expected:
        reader.verify(published.volume, published.version)
    with pytest.raises(PublicationError) as caught:
        verify_apart(published.volume, published.version)
    assert str(caught.value) == str(expected.value)
    assert not isinstance(caught.value, VolumeError)


def test_a_version_that_is_gone_is_named(published):
    with pytest.raises(PublicationError, match="20200101T000000Z-000000"):
        verify_apart(published.volume, "20200101T000000Z-000000")


def test_a_volume_that_cannot_be_read_is_no_fault_of_the_version(published):
    volume = published.volume / ("x" * 300)
    with pytest.raises(VolumeError, match="File name too long") as caught:
        verify_apart(volume, published.version)
    assert caught.value.path == layout.version_dir(volume, published.version)


def test_a_version_that_kills_its_reader_is_refused(published):
    publications.make_deadly_id_map(published.directory)
    with pytest.raises(InvalidPublicationError, match=r"kills the process.*SIG") as caught:
        verify_apart(published.volume, published.version)
    assert caught.value.path == published.directory


def test_it_takes_no_longer_than_it_may(published):
    with pytest.raises(InvalidPublicationError, match=r"isn't verified after 0\.001 s"):
        verify_apart(published.volume, published.version, seconds=0.001)

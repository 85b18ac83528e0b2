import argparse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.remote.errors import LocationError
from lightfm_retriever.remote.location import StoreUrl, argument, parse_location

_PARTS = st.text("Az09_=-", min_size=1, max_size=12)


@given(
    scheme=st.sampled_from(["s3", "gs", "az"]),
    bucket=st.text("Az09", min_size=1),
    parts=st.lists(_PARTS),
)
def test_a_url_is_what_it_was_parsed_from(scheme, bucket, parts):
    url = StoreUrl(scheme, bucket, "/".join(parts))
    assert parse_location(str(url)) == url
    assert "/" not in url.name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket/", StoreUrl("s3", "bucket")),
        ("S3://bucket/a/b/", StoreUrl("s3", "bucket", "a/b")),
        ("gs://my.bucket/x=1", StoreUrl("gs", "my.bucket", "x=1")),
        ("/volume", Path("/volume")),
        ("volume", Path("volume")),
        ("a:b", Path("a:b")),
    ],
)
def test_a_location_is_a_folder_or_a_prefix(text, expected):
    assert parse_location(text) == argument(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ftp://host/x", "ftp:// isn't known"),
        ("file:///volume", "file:// isn't known"),
        ("s3:///prefix", "should name a bucket"),
        ("s3://", "should name a bucket"),
        ("s3://key:secret@bucket/prefix", "credentials come from the environment"),
        ("s3://bucket/../other", "'..' can't be part of a prefix"),
        ("s3://bucket/a//b", "'' can't be part"),
        ("s3://bucket/a b", "can't be part"),
        ("s3://bucket/%2e%2e", "can't be part"),
        ("s3://bucket/a?b", "can't be part"),
    ],
)
def test_what_is_none_is_refused_with_the_reason(text, reason):
    with pytest.raises(LocationError, match=r"--volume") as refused:
        parse_location(text)
    assert reason in str(refused.value)
    assert "secret" not in str(refused.value)
    with pytest.raises(argparse.ArgumentTypeError) as told:
        argument(text)
    assert reason in str(told.value)

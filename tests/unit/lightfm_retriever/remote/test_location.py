import argparse
from pathlib import Path

import pytest

from lightfm_retriever.remote.location import StoreUrl, parse_location


def test_a_location_is_a_folder_or_a_prefix_with_a_name_for_a_folder_of_its_own():
    for text, expected in (
        ("s3://bucket/", StoreUrl("s3", "bucket")),
        ("S3://bucket/a/b/", StoreUrl("s3", "bucket", "a/b")),
        ("az://Bucket/a-b_c", StoreUrl("az", "Bucket", "a-b_c")),
        ("gs://my.bucket/x=1", StoreUrl("gs", "my.bucket", "x=1")),
        ("/volume", Path("/volume")),
        ("volume", Path("volume")),
        ("a:b", Path("a:b")),
    ):
        assert parse_location(text) == parse_location(str(expected)) == expected
    assert parse_location("s3://bucket/a/b").name == "bucket-a-b"


def test_what_is_none_is_refused_with_the_reason():
    for text, reason in (
        ("ftp://host/x", "ftp:// isn't known"),
        ("s3:///prefix", "should name a bucket"),
        ("s3://key:secret@bucket/prefix", "credentials come from the environment"),
        ("s3://bucket/../other", "'..' can't be part of a prefix"),
        ("s3://bucket/a//b", "'' can't be part"),
        ("s3://bucket/%2e%2e", "can't be part"),
    ):
        with pytest.raises(argparse.ArgumentTypeError) as refused:
            parse_location(text)
        assert reason in str(refused.value)
        assert "secret" not in str(refused.value)

import pytest

from trainer.data.databases.metadata_addresses import is_metadata

# Names and addresses in every form that libraries read. Of version 6 with one of version 4 in it:
# mapped, compatible, translated, through NAT64 by prefixes of 96, 48, 56 and 64 bits, by 6to4, by
# Teredo's server and client, and by ISATAP.
THOSE = """
169.254.169.254 169.254.170.2 169.254.0.1 169.254.169.254. 2852039166 0xa9fea9fe 0251.0376.0251.0376
169.254.43518 ::ffff:169.254.169.254 [::ffff:a9fe:a9fe] ::a9fe:a9fe 64:ff9b::a9fe:a9fe
[::ffff:0:169.254.169.254] ::ffff:0:a9fe:a9fe [64:ff9b:1::a9fe:a9fe] 64:ff9b:1:77:66:55:a9fe:a9fe
64:ff9b:1:a9fe:a9:fe00:: 64:ff9b:1:77a9:fe:a9fe:: 64:ff9b:1:77:a9:fea9:fe00:0
[2002:a9fe:a9fe::] 2002:a9fe:a9fe:1::1 2002:6464:64c8::1
2001:0:4136:e378:8000:63bf:5601:5601 2001:0:a9fe:a9fe:8000:63bf:0:0
2a00:1450::5efe:a9fe:a9fe 2a00:1450::200:5efe:169.254.169.254
fe80::1 fe80::1%eth0 [fd00:ec2::254] FD00:EC2:0::254 fd00:ec2::23 fd20:ce::254
100.100.100.200 168.63.129.16 192.0.0.192
metadata.google.internal Metadata.Google.Internal. metadata instance-data.ec2.internal
"""
OTHERS = """
127.0.0.1 ::1 localhost 10.0.0.1 2001:db8::a9fe:a9fe fd00:ec2::255 64:ff9b:2::a9fe:a9fe
64:ff9b:1::a00:1 64:ff9b:1:a00:0:100:: 2002:a00:1::a9fe:a9fe 2001:0:4136:e378:8000:63bf:a9fe:a9fe
2001:1::a9fe:a9fe 2a00:1450::5eff:a9fe:a9fe db.example 169.254.example metadata.example
100.100.100.201 1.2.3.4.5
"""


@pytest.mark.parametrize("host", [" 169.254.169.254", *THOSE.split()])
def test_every_form_of_a_metadata_address_is_one(host):
    assert is_metadata(host)


@pytest.mark.parametrize("host", ["", "no host", *OTHERS.split()])
def test_other_hosts_are_none(host):
    assert not is_metadata(host)

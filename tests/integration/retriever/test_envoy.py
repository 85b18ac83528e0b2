"""Envoy in front of retrievers: what docker/envoy promises.

Without TLS but for one test, since everything is on this host's loopback.
"""

import threading

import grpc
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from lightfm_retriever.hosting.security.credentials import open_channel
from lightfm_retriever.hosting.security.settings import ClientSecurity, SecuritySettings
from tests.certificates import Secret, issue, write
from tests.envoy import Envoy
from tests.integration.retriever.fakes import answering
from tests.service import PATIENCE

# Of a retriever's certificate, by docker/envoy/tls.yaml.
NAME = "retriever.recsys.svc.cluster.local"


def test_a_call_that_a_retriever_refuses_is_answered_by_another_one(tmp_path):
    with (
        answering() as well,
        _refusing(grpc.StatusCode.UNAVAILABLE) as unavailable,
        _refusing(grpc.StatusCode.CANCELLED) as cancelling,
        Envoy([well, unavailable, cancelling], tmp_path) as envoy,
        grpc.insecure_channel(envoy.target) as channel,
    ):
        _wait_for_code(envoy, channel, grpc.StatusCode.OK)
        # Health checks find nothing, but five refusals in a row do.
        while not envoy.hosts()[unavailable].problems:
            assert [_code(channel) for _ in range(10)] == [grpc.StatusCode.OK] * 10
        assert envoy.hosts()[unavailable].problems == {"failed_outlier_check"}
        assert envoy.statistic("upstream_rq_retry") > 0


def test_a_full_retriever_is_not_called_again(tmp_path):
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    with (
        _refusing(code) as full,
        Envoy([full], tmp_path) as envoy,
        grpc.insecure_channel(envoy.target) as channel,
    ):
        _wait_for_code(envoy, channel, code)
        # Nor is it left out for that, however often.
        assert [_code(channel) for _ in range(10)] == [code] * 10
        assert envoy.statistic("upstream_rq_retry") == 0
        assert envoy.healthy() == {full}


def test_a_call_to_a_retriever_that_hangs_is_answered_by_another_one(tmp_path):
    let_go = threading.Event()
    # Its health says that all is well.
    with answering(lambda *_: let_go.wait(PATIENCE)) as hung, answering() as well:
        with Envoy([hung, well], tmp_path) as envoy, grpc.insecure_channel(envoy.target) as channel:
            _wait_for_code(envoy, channel, grpc.StatusCode.OK)
            while not envoy.statistic("upstream_rq_per_try_timeout"):
                assert _code(channel) is grpc.StatusCode.OK
        let_go.set()


def test_tls_with_callers_and_with_retrievers_is_mutual(tmp_path):
    own = Secret(tmp_path / "tls", issue("127.0.0.1", "envoy.recsys.svc.cluster.local"))
    right, wrong = (Secret(tmp_path / name, issue(name)) for name in (NAME, "client.example"))
    with (
        answering(security=_mutual(right)) as retriever,
        answering(security=_mutual(wrong)) as impostor,
        Envoy([retriever, impostor], tmp_path, certificates=tmp_path / "tls") as envoy,
    ):
        # Health checks go the same way.
        envoy.wait_for(lambda: envoy.statistic("health_check.failure"))
        envoy.wait_for(lambda: envoy.healthy() == {retriever})
        ours, others = (
            write(tmp_path, issue("client.example", by=by), by) for by in ("ours", "others")
        )
        with open_channel(envoy.target, ClientSecurity(ca=own.ca, **ours), ()) as channel:
            _wait_for_code(envoy, channel, grpc.StatusCode.OK)
        for shown in ({}, others):
            with open_channel(envoy.target, ClientSecurity(ca=own.ca, **shown), ()) as channel:
                assert _code(channel) is grpc.StatusCode.UNAVAILABLE


def _refusing(code):
    """A retriever that refuses every call so."""
    return answering(lambda _, context: context.abort(code, "as the test wants it"))


def _mutual(secret):
    return SecuritySettings(cert=secret.cert, key=secret.key, client_ca=secret.ca)


def _code(channel):
    """What becomes of a call."""
    stub = pb_grpc.RetrieverServiceStub(channel)
    try:
        stub.Recommend(pb.RecommendRequest(), timeout=PATIENCE)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def _wait_for_code(envoy, channel, code):
    """Call until it ends so: Envoy's threads learn of healthy retrievers one after the other."""
    envoy.wait_for(lambda: _code(channel) is code)

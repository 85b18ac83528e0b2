import datetime

from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WorkerState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WORKER_STATE_UNSPECIFIED: _ClassVar[WorkerState]
    WORKER_STATE_STARTING: _ClassVar[WorkerState]
    WORKER_STATE_RUNNING: _ClassVar[WorkerState]
    WORKER_STATE_DOWN: _ClassVar[WorkerState]
WORKER_STATE_UNSPECIFIED: WorkerState
WORKER_STATE_STARTING: WorkerState
WORKER_STATE_RUNNING: WorkerState
WORKER_STATE_DOWN: WorkerState

class SimilarItemsRequest(_message.Message):
    __slots__ = ("item_id", "limit", "return_attributes", "search_effort", "exact")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    RETURN_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    SEARCH_EFFORT_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    limit: int
    return_attributes: _field_mask_pb2.FieldMask
    search_effort: float
    exact: bool
    def __init__(self, item_id: _Optional[str] = ..., limit: _Optional[int] = ..., return_attributes: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., search_effort: _Optional[float] = ..., exact: _Optional[bool] = ...) -> None: ...

class SimilarItemsResponse(_message.Message):
    __slots__ = ("items", "version")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[ScoredItem]
    version: str
    def __init__(self, items: _Optional[_Iterable[_Union[ScoredItem, _Mapping]]] = ..., version: _Optional[str] = ...) -> None: ...

class RecommendRequest(_message.Message):
    __slots__ = ("user_id", "limit", "exclude_seen", "return_attributes", "search_effort", "exact")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_SEEN_FIELD_NUMBER: _ClassVar[int]
    RETURN_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    SEARCH_EFFORT_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    limit: int
    exclude_seen: bool
    return_attributes: _field_mask_pb2.FieldMask
    search_effort: float
    exact: bool
    def __init__(self, user_id: _Optional[str] = ..., limit: _Optional[int] = ..., exclude_seen: _Optional[bool] = ..., return_attributes: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., search_effort: _Optional[float] = ..., exact: _Optional[bool] = ...) -> None: ...

class RecommendResponse(_message.Message):
    __slots__ = ("items", "version")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[ScoredItem]
    version: str
    def __init__(self, items: _Optional[_Iterable[_Union[ScoredItem, _Mapping]]] = ..., version: _Optional[str] = ...) -> None: ...

class ScoredItem(_message.Message):
    __slots__ = ("item_id", "score", "title")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    score: float
    title: str
    def __init__(self, item_id: _Optional[str] = ..., score: _Optional[float] = ..., title: _Optional[str] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("label", "label_target", "version", "last_reload", "label_problem", "workers", "failed_versions")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    LABEL_TARGET_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LAST_RELOAD_FIELD_NUMBER: _ClassVar[int]
    LABEL_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    FAILED_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    label: str
    label_target: str
    version: str
    last_reload: ReloadOutcome
    label_problem: str
    workers: _containers.RepeatedCompositeFieldContainer[WorkerStatus]
    failed_versions: _containers.RepeatedCompositeFieldContainer[FailedVersion]
    def __init__(self, label: _Optional[str] = ..., label_target: _Optional[str] = ..., version: _Optional[str] = ..., last_reload: _Optional[_Union[ReloadOutcome, _Mapping]] = ..., label_problem: _Optional[str] = ..., workers: _Optional[_Iterable[_Union[WorkerStatus, _Mapping]]] = ..., failed_versions: _Optional[_Iterable[_Union[FailedVersion, _Mapping]]] = ...) -> None: ...

class FailedVersion(_message.Message):
    __slots__ = ("version", "reason", "failed_at")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FAILED_AT_FIELD_NUMBER: _ClassVar[int]
    version: str
    reason: str
    failed_at: _timestamp_pb2.Timestamp
    def __init__(self, version: _Optional[str] = ..., reason: _Optional[str] = ..., failed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ReloadOutcome(_message.Message):
    __slots__ = ("version", "succeeded", "reason", "duration_seconds", "ended_at", "commit_spread_seconds")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    COMMIT_SPREAD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    version: str
    succeeded: bool
    reason: str
    duration_seconds: float
    ended_at: _timestamp_pb2.Timestamp
    commit_spread_seconds: float
    def __init__(self, version: _Optional[str] = ..., succeeded: _Optional[bool] = ..., reason: _Optional[str] = ..., duration_seconds: _Optional[float] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., commit_spread_seconds: _Optional[float] = ...) -> None: ...

class WorkerStatus(_message.Message):
    __slots__ = ("index", "pid", "state", "version", "started_at", "serving_since", "restarts", "calls", "refused_calls", "calls_in_flight", "pss_bytes")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    SERVING_SINCE_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_CALLS_FIELD_NUMBER: _ClassVar[int]
    CALLS_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    PSS_BYTES_FIELD_NUMBER: _ClassVar[int]
    index: int
    pid: int
    state: WorkerState
    version: str
    started_at: _timestamp_pb2.Timestamp
    serving_since: _timestamp_pb2.Timestamp
    restarts: int
    calls: int
    refused_calls: int
    calls_in_flight: int
    pss_bytes: int
    def __init__(self, index: _Optional[int] = ..., pid: _Optional[int] = ..., state: _Optional[_Union[WorkerState, str]] = ..., version: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., serving_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., restarts: _Optional[int] = ..., calls: _Optional[int] = ..., refused_calls: _Optional[int] = ..., calls_in_flight: _Optional[int] = ..., pss_bytes: _Optional[int] = ...) -> None: ...

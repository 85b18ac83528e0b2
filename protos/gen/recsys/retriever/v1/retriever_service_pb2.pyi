import datetime

from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class UnknownIds(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UNKNOWN_IDS_UNSPECIFIED: _ClassVar[UnknownIds]
    UNKNOWN_IDS_ERROR: _ClassVar[UnknownIds]
    UNKNOWN_IDS_IGNORE: _ClassVar[UnknownIds]
    UNKNOWN_IDS_POPULAR: _ClassVar[UnknownIds]

class Source(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SOURCE_UNSPECIFIED: _ClassVar[Source]
    SOURCE_PERSONALIZED: _ClassVar[Source]
    SOURCE_FOLDED_IN: _ClassVar[Source]
    SOURCE_FEATURES: _ClassVar[Source]
    SOURCE_POPULAR: _ClassVar[Source]
    SOURCE_SIMILAR: _ClassVar[Source]

class SearchMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEARCH_METHOD_UNSPECIFIED: _ClassVar[SearchMethod]
    SEARCH_METHOD_INDEX: _ClassVar[SearchMethod]
    SEARCH_METHOD_EXACT: _ClassVar[SearchMethod]

class ShortReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SHORT_REASON_UNSPECIFIED: _ClassVar[ShortReason]
    SHORT_REASON_CATALOGUE: _ClassVar[ShortReason]
    SHORT_REASON_EXCLUSIONS: _ClassVar[ShortReason]
    SHORT_REASON_FILTER: _ClassVar[ShortReason]
    SHORT_REASON_PAGE_LIMIT: _ClassVar[ShortReason]
    SHORT_REASON_NO_EVIDENCE: _ClassVar[ShortReason]

class WorkerState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WORKER_STATE_UNSPECIFIED: _ClassVar[WorkerState]
    WORKER_STATE_STARTING: _ClassVar[WorkerState]
    WORKER_STATE_RUNNING: _ClassVar[WorkerState]
    WORKER_STATE_DOWN: _ClassVar[WorkerState]
UNKNOWN_IDS_UNSPECIFIED: UnknownIds
UNKNOWN_IDS_ERROR: UnknownIds
UNKNOWN_IDS_IGNORE: UnknownIds
UNKNOWN_IDS_POPULAR: UnknownIds
SOURCE_UNSPECIFIED: Source
SOURCE_PERSONALIZED: Source
SOURCE_FOLDED_IN: Source
SOURCE_FEATURES: Source
SOURCE_POPULAR: Source
SOURCE_SIMILAR: Source
SEARCH_METHOD_UNSPECIFIED: SearchMethod
SEARCH_METHOD_INDEX: SearchMethod
SEARCH_METHOD_EXACT: SearchMethod
SHORT_REASON_UNSPECIFIED: ShortReason
SHORT_REASON_CATALOGUE: ShortReason
SHORT_REASON_EXCLUSIONS: ShortReason
SHORT_REASON_FILTER: ShortReason
SHORT_REASON_PAGE_LIMIT: ShortReason
SHORT_REASON_NO_EVIDENCE: ShortReason
WORKER_STATE_UNSPECIFIED: WorkerState
WORKER_STATE_STARTING: WorkerState
WORKER_STATE_RUNNING: WorkerState
WORKER_STATE_DOWN: WorkerState

class SimilarItemsRequest(_message.Message):
    __slots__ = ("item_id", "items", "limit", "return_attributes", "search_effort", "exact", "exclude_item_ids", "filter", "unknown_ids", "paginate", "page_token", "diversity", "explain", "return_attribute_names", "max_response_bytes")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    RETURN_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    SEARCH_EFFORT_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_IDS_FIELD_NUMBER: _ClassVar[int]
    PAGINATE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    DIVERSITY_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    RETURN_ATTRIBUTE_NAMES_FIELD_NUMBER: _ClassVar[int]
    MAX_RESPONSE_BYTES_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    items: WeightedItems
    limit: int
    return_attributes: _field_mask_pb2.FieldMask
    search_effort: float
    exact: bool
    exclude_item_ids: _containers.RepeatedScalarFieldContainer[str]
    filter: Filter
    unknown_ids: UnknownIds
    paginate: bool
    page_token: str
    diversity: float
    explain: bool
    return_attribute_names: _containers.RepeatedScalarFieldContainer[str]
    max_response_bytes: int
    def __init__(self, item_id: _Optional[str] = ..., items: _Optional[_Union[WeightedItems, _Mapping]] = ..., limit: _Optional[int] = ..., return_attributes: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., search_effort: _Optional[float] = ..., exact: _Optional[bool] = ..., exclude_item_ids: _Optional[_Iterable[str]] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., unknown_ids: _Optional[_Union[UnknownIds, str]] = ..., paginate: _Optional[bool] = ..., page_token: _Optional[str] = ..., diversity: _Optional[float] = ..., explain: _Optional[bool] = ..., return_attribute_names: _Optional[_Iterable[str]] = ..., max_response_bytes: _Optional[int] = ...) -> None: ...

class SimilarItemsResponse(_message.Message):
    __slots__ = ("items", "version", "source", "method", "candidates", "filtered", "short_reason", "unknown_ids", "next_page_token", "unknown_filter_values", "empty_filter_ranges")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    FILTERED_FIELD_NUMBER: _ClassVar[int]
    SHORT_REASON_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_IDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FILTER_VALUES_FIELD_NUMBER: _ClassVar[int]
    EMPTY_FILTER_RANGES_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[ScoredItem]
    version: str
    source: Source
    method: SearchMethod
    candidates: int
    filtered: int
    short_reason: ShortReason
    unknown_ids: _containers.RepeatedScalarFieldContainer[str]
    next_page_token: str
    unknown_filter_values: _containers.RepeatedCompositeFieldContainer[UnknownFilterValue]
    empty_filter_ranges: _containers.RepeatedCompositeFieldContainer[EmptyFilterRange]
    def __init__(self, items: _Optional[_Iterable[_Union[ScoredItem, _Mapping]]] = ..., version: _Optional[str] = ..., source: _Optional[_Union[Source, str]] = ..., method: _Optional[_Union[SearchMethod, str]] = ..., candidates: _Optional[int] = ..., filtered: _Optional[int] = ..., short_reason: _Optional[_Union[ShortReason, str]] = ..., unknown_ids: _Optional[_Iterable[str]] = ..., next_page_token: _Optional[str] = ..., unknown_filter_values: _Optional[_Iterable[_Union[UnknownFilterValue, _Mapping]]] = ..., empty_filter_ranges: _Optional[_Iterable[_Union[EmptyFilterRange, _Mapping]]] = ...) -> None: ...

class RecommendRequest(_message.Message):
    __slots__ = ("user_id", "session", "features", "limit", "exclude_seen", "return_attributes", "search_effort", "exact", "exclude_item_ids", "filter", "unknown_ids", "paginate", "page_token", "diversity", "explain", "return_attribute_names", "max_response_bytes")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_SEEN_FIELD_NUMBER: _ClassVar[int]
    RETURN_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    SEARCH_EFFORT_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_IDS_FIELD_NUMBER: _ClassVar[int]
    PAGINATE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    DIVERSITY_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    RETURN_ATTRIBUTE_NAMES_FIELD_NUMBER: _ClassVar[int]
    MAX_RESPONSE_BYTES_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    session: WeightedItems
    features: UserFeatures
    limit: int
    exclude_seen: bool
    return_attributes: _field_mask_pb2.FieldMask
    search_effort: float
    exact: bool
    exclude_item_ids: _containers.RepeatedScalarFieldContainer[str]
    filter: Filter
    unknown_ids: UnknownIds
    paginate: bool
    page_token: str
    diversity: float
    explain: bool
    return_attribute_names: _containers.RepeatedScalarFieldContainer[str]
    max_response_bytes: int
    def __init__(self, user_id: _Optional[str] = ..., session: _Optional[_Union[WeightedItems, _Mapping]] = ..., features: _Optional[_Union[UserFeatures, _Mapping]] = ..., limit: _Optional[int] = ..., exclude_seen: _Optional[bool] = ..., return_attributes: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., search_effort: _Optional[float] = ..., exact: _Optional[bool] = ..., exclude_item_ids: _Optional[_Iterable[str]] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., unknown_ids: _Optional[_Union[UnknownIds, str]] = ..., paginate: _Optional[bool] = ..., page_token: _Optional[str] = ..., diversity: _Optional[float] = ..., explain: _Optional[bool] = ..., return_attribute_names: _Optional[_Iterable[str]] = ..., max_response_bytes: _Optional[int] = ...) -> None: ...

class RecommendResponse(_message.Message):
    __slots__ = ("items", "version", "source", "method", "candidates", "filtered", "short_reason", "unknown_ids", "next_page_token", "unknown_filter_values", "empty_filter_ranges")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    FILTERED_FIELD_NUMBER: _ClassVar[int]
    SHORT_REASON_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_IDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FILTER_VALUES_FIELD_NUMBER: _ClassVar[int]
    EMPTY_FILTER_RANGES_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[ScoredItem]
    version: str
    source: Source
    method: SearchMethod
    candidates: int
    filtered: int
    short_reason: ShortReason
    unknown_ids: _containers.RepeatedScalarFieldContainer[str]
    next_page_token: str
    unknown_filter_values: _containers.RepeatedCompositeFieldContainer[UnknownFilterValue]
    empty_filter_ranges: _containers.RepeatedCompositeFieldContainer[EmptyFilterRange]
    def __init__(self, items: _Optional[_Iterable[_Union[ScoredItem, _Mapping]]] = ..., version: _Optional[str] = ..., source: _Optional[_Union[Source, str]] = ..., method: _Optional[_Union[SearchMethod, str]] = ..., candidates: _Optional[int] = ..., filtered: _Optional[int] = ..., short_reason: _Optional[_Union[ShortReason, str]] = ..., unknown_ids: _Optional[_Iterable[str]] = ..., next_page_token: _Optional[str] = ..., unknown_filter_values: _Optional[_Iterable[_Union[UnknownFilterValue, _Mapping]]] = ..., empty_filter_ranges: _Optional[_Iterable[_Union[EmptyFilterRange, _Mapping]]] = ...) -> None: ...

class BatchSimilarItemsRequest(_message.Message):
    __slots__ = ("requests", "max_response_bytes")
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    MAX_RESPONSE_BYTES_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[SimilarItemsRequest]
    max_response_bytes: int
    def __init__(self, requests: _Optional[_Iterable[_Union[SimilarItemsRequest, _Mapping]]] = ..., max_response_bytes: _Optional[int] = ...) -> None: ...

class BatchSimilarItemsResponse(_message.Message):
    __slots__ = ("results", "version")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[SimilarItemsResult]
    version: str
    def __init__(self, results: _Optional[_Iterable[_Union[SimilarItemsResult, _Mapping]]] = ..., version: _Optional[str] = ...) -> None: ...

class SimilarItemsResult(_message.Message):
    __slots__ = ("response", "error")
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    response: SimilarItemsResponse
    error: _status_pb2.Status
    def __init__(self, response: _Optional[_Union[SimilarItemsResponse, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class BatchRecommendRequest(_message.Message):
    __slots__ = ("requests", "max_response_bytes")
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    MAX_RESPONSE_BYTES_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[RecommendRequest]
    max_response_bytes: int
    def __init__(self, requests: _Optional[_Iterable[_Union[RecommendRequest, _Mapping]]] = ..., max_response_bytes: _Optional[int] = ...) -> None: ...

class BatchRecommendResponse(_message.Message):
    __slots__ = ("results", "version")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[RecommendResult]
    version: str
    def __init__(self, results: _Optional[_Iterable[_Union[RecommendResult, _Mapping]]] = ..., version: _Optional[str] = ...) -> None: ...

class RecommendResult(_message.Message):
    __slots__ = ("response", "error")
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    response: RecommendResponse
    error: _status_pb2.Status
    def __init__(self, response: _Optional[_Union[RecommendResponse, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class WeightedItems(_message.Message):
    __slots__ = ("item_ids", "weights")
    ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    item_ids: _containers.RepeatedScalarFieldContainer[str]
    weights: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, item_ids: _Optional[_Iterable[str]] = ..., weights: _Optional[_Iterable[float]] = ...) -> None: ...

class UserFeatures(_message.Message):
    __slots__ = ("features",)
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    features: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, features: _Optional[_Iterable[str]] = ...) -> None: ...

class Filter(_message.Message):
    __slots__ = ("conditions",)
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    conditions: _containers.RepeatedCompositeFieldContainer[Condition]
    def __init__(self, conditions: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ...) -> None: ...

class Condition(_message.Message):
    __slots__ = ("attribute", "any_of", "all_of", "none_of", "range")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    ANY_OF_FIELD_NUMBER: _ClassVar[int]
    ALL_OF_FIELD_NUMBER: _ClassVar[int]
    NONE_OF_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    any_of: Values
    all_of: Values
    none_of: Values
    range: Range
    def __init__(self, attribute: _Optional[str] = ..., any_of: _Optional[_Union[Values, _Mapping]] = ..., all_of: _Optional[_Union[Values, _Mapping]] = ..., none_of: _Optional[_Union[Values, _Mapping]] = ..., range: _Optional[_Union[Range, _Mapping]] = ...) -> None: ...

class Values(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...

class Range(_message.Message):
    __slots__ = ("min", "max")
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    min: float
    max: float
    def __init__(self, min: _Optional[float] = ..., max: _Optional[float] = ...) -> None: ...

class ScoredItem(_message.Message):
    __slots__ = ("item_id", "score", "title", "attributes", "explanation")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: AttributeValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[AttributeValue, _Mapping]] = ...) -> None: ...
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    score: float
    title: str
    attributes: _containers.MessageMap[str, AttributeValue]
    explanation: Explanation
    def __init__(self, item_id: _Optional[str] = ..., score: _Optional[float] = ..., title: _Optional[str] = ..., attributes: _Optional[_Mapping[str, AttributeValue]] = ..., explanation: _Optional[_Union[Explanation, _Mapping]] = ...) -> None: ...

class UnknownFilterValue(_message.Message):
    __slots__ = ("attribute", "value", "near")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    NEAR_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    value: str
    near: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, attribute: _Optional[str] = ..., value: _Optional[str] = ..., near: _Optional[_Iterable[str]] = ...) -> None: ...

class EmptyFilterRange(_message.Message):
    __slots__ = ("attribute", "least", "greatest")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    LEAST_FIELD_NUMBER: _ClassVar[int]
    GREATEST_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    least: float
    greatest: float
    def __init__(self, attribute: _Optional[str] = ..., least: _Optional[float] = ..., greatest: _Optional[float] = ...) -> None: ...

class AttributeValue(_message.Message):
    __slots__ = ("texts", "number")
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    texts: Values
    number: float
    def __init__(self, texts: _Optional[_Union[Values, _Mapping]] = ..., number: _Optional[float] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("contributions", "bias")
    CONTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    BIAS_FIELD_NUMBER: _ClassVar[int]
    contributions: _containers.RepeatedCompositeFieldContainer[Contribution]
    bias: float
    def __init__(self, contributions: _Optional[_Iterable[_Union[Contribution, _Mapping]]] = ..., bias: _Optional[float] = ...) -> None: ...

class Contribution(_message.Message):
    __slots__ = ("item_id", "feature", "score")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    feature: str
    score: float
    def __init__(self, item_id: _Optional[str] = ..., feature: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("label", "label_target", "version", "last_reload", "label_problem", "workers", "failed_versions", "not_serving_reason", "software_version", "served_problem", "indexes")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    LABEL_TARGET_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LAST_RELOAD_FIELD_NUMBER: _ClassVar[int]
    LABEL_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    FAILED_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NOT_SERVING_REASON_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    SERVED_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    INDEXES_FIELD_NUMBER: _ClassVar[int]
    label: str
    label_target: str
    version: str
    last_reload: ReloadOutcome
    label_problem: str
    workers: _containers.RepeatedCompositeFieldContainer[WorkerStatus]
    failed_versions: _containers.RepeatedCompositeFieldContainer[FailedVersion]
    not_serving_reason: str
    software_version: str
    served_problem: str
    indexes: _containers.RepeatedCompositeFieldContainer[IndexStatus]
    def __init__(self, label: _Optional[str] = ..., label_target: _Optional[str] = ..., version: _Optional[str] = ..., last_reload: _Optional[_Union[ReloadOutcome, _Mapping]] = ..., label_problem: _Optional[str] = ..., workers: _Optional[_Iterable[_Union[WorkerStatus, _Mapping]]] = ..., failed_versions: _Optional[_Iterable[_Union[FailedVersion, _Mapping]]] = ..., not_serving_reason: _Optional[str] = ..., software_version: _Optional[str] = ..., served_problem: _Optional[str] = ..., indexes: _Optional[_Iterable[_Union[IndexStatus, _Mapping]]] = ...) -> None: ...

class IndexStatus(_message.Message):
    __slots__ = ("name", "backend", "target_recall", "recall_at_10")
    class RecallAt10Entry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    TARGET_RECALL_FIELD_NUMBER: _ClassVar[int]
    RECALL_AT_10_FIELD_NUMBER: _ClassVar[int]
    name: str
    backend: str
    target_recall: float
    recall_at_10: _containers.ScalarMap[str, float]
    def __init__(self, name: _Optional[str] = ..., backend: _Optional[str] = ..., target_recall: _Optional[float] = ..., recall_at_10: _Optional[_Mapping[str, float]] = ...) -> None: ...

class FailedVersion(_message.Message):
    __slots__ = ("version", "reason", "failed_at", "retried")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FAILED_AT_FIELD_NUMBER: _ClassVar[int]
    RETRIED_FIELD_NUMBER: _ClassVar[int]
    version: str
    reason: str
    failed_at: _timestamp_pb2.Timestamp
    retried: bool
    def __init__(self, version: _Optional[str] = ..., reason: _Optional[str] = ..., failed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., retried: _Optional[bool] = ...) -> None: ...

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

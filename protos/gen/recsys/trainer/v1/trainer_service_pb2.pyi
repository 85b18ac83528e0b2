import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TrainingRunState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRAINING_RUN_STATE_UNSPECIFIED: _ClassVar[TrainingRunState]
    TRAINING_RUN_STATE_QUEUED: _ClassVar[TrainingRunState]
    TRAINING_RUN_STATE_RUNNING: _ClassVar[TrainingRunState]
    TRAINING_RUN_STATE_SUCCEEDED: _ClassVar[TrainingRunState]
    TRAINING_RUN_STATE_FAILED: _ClassVar[TrainingRunState]
    TRAINING_RUN_STATE_CANCELLED: _ClassVar[TrainingRunState]
TRAINING_RUN_STATE_UNSPECIFIED: TrainingRunState
TRAINING_RUN_STATE_QUEUED: TrainingRunState
TRAINING_RUN_STATE_RUNNING: TrainingRunState
TRAINING_RUN_STATE_SUCCEEDED: TrainingRunState
TRAINING_RUN_STATE_FAILED: TrainingRunState
TRAINING_RUN_STATE_CANCELLED: TrainingRunState

class TrainRequest(_message.Message):
    __slots__ = ("request_id", "spec")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    spec: TrainingSpec
    def __init__(self, request_id: _Optional[str] = ..., spec: _Optional[_Union[TrainingSpec, _Mapping]] = ...) -> None: ...

class TrainResponse(_message.Message):
    __slots__ = ("training_run",)
    TRAINING_RUN_FIELD_NUMBER: _ClassVar[int]
    training_run: TrainingRun
    def __init__(self, training_run: _Optional[_Union[TrainingRun, _Mapping]] = ...) -> None: ...

class TrainingSpec(_message.Message):
    __slots__ = ("data", "hyperparameters", "backend", "trees", "target_recall", "strict_recall", "index_threads", "label", "gates", "warm_start", "max_shrinkage", "model", "settings", "budget_seconds", "users_by")
    class SettingsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DATA_FIELD_NUMBER: _ClassVar[int]
    HYPERPARAMETERS_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    TREES_FIELD_NUMBER: _ClassVar[int]
    TARGET_RECALL_FIELD_NUMBER: _ClassVar[int]
    STRICT_RECALL_FIELD_NUMBER: _ClassVar[int]
    INDEX_THREADS_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    GATES_FIELD_NUMBER: _ClassVar[int]
    WARM_START_FIELD_NUMBER: _ClassVar[int]
    MAX_SHRINKAGE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    BUDGET_SECONDS_FIELD_NUMBER: _ClassVar[int]
    USERS_BY_FIELD_NUMBER: _ClassVar[int]
    data: DataSpec
    hyperparameters: Hyperparameters
    backend: str
    trees: int
    target_recall: float
    strict_recall: bool
    index_threads: int
    label: str
    gates: Gates
    warm_start: bool
    max_shrinkage: float
    model: str
    settings: _containers.ScalarMap[str, str]
    budget_seconds: float
    users_by: str
    def __init__(self, data: _Optional[_Union[DataSpec, _Mapping]] = ..., hyperparameters: _Optional[_Union[Hyperparameters, _Mapping]] = ..., backend: _Optional[str] = ..., trees: _Optional[int] = ..., target_recall: _Optional[float] = ..., strict_recall: _Optional[bool] = ..., index_threads: _Optional[int] = ..., label: _Optional[str] = ..., gates: _Optional[_Union[Gates, _Mapping]] = ..., warm_start: _Optional[bool] = ..., max_shrinkage: _Optional[float] = ..., model: _Optional[str] = ..., settings: _Optional[_Mapping[str, str]] = ..., budget_seconds: _Optional[float] = ..., users_by: _Optional[str] = ...) -> None: ...

class DataSpec(_message.Message):
    __slots__ = ("dataset", "interactions", "interactions_sql", "database_url", "event_log", "items", "users", "item_features", "user_features", "feature_separator", "event_weights", "half_life_days", "last_days", "split", "split_count", "split_share", "item_attributes", "positive_from", "form", "segment_by")
    class EventWeightsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    DATASET_FIELD_NUMBER: _ClassVar[int]
    INTERACTIONS_FIELD_NUMBER: _ClassVar[int]
    INTERACTIONS_SQL_FIELD_NUMBER: _ClassVar[int]
    DATABASE_URL_FIELD_NUMBER: _ClassVar[int]
    EVENT_LOG_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    ITEM_FEATURES_FIELD_NUMBER: _ClassVar[int]
    USER_FEATURES_FIELD_NUMBER: _ClassVar[int]
    FEATURE_SEPARATOR_FIELD_NUMBER: _ClassVar[int]
    EVENT_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    HALF_LIFE_DAYS_FIELD_NUMBER: _ClassVar[int]
    LAST_DAYS_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    SPLIT_COUNT_FIELD_NUMBER: _ClassVar[int]
    SPLIT_SHARE_FIELD_NUMBER: _ClassVar[int]
    ITEM_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_FROM_FIELD_NUMBER: _ClassVar[int]
    FORM_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_BY_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    interactions: str
    interactions_sql: str
    database_url: str
    event_log: bool
    items: str
    users: str
    item_features: _containers.RepeatedScalarFieldContainer[str]
    user_features: _containers.RepeatedScalarFieldContainer[str]
    feature_separator: str
    event_weights: _containers.ScalarMap[str, float]
    half_life_days: float
    last_days: float
    split: str
    split_count: int
    split_share: float
    item_attributes: _containers.RepeatedScalarFieldContainer[str]
    positive_from: float
    form: FileForm
    segment_by: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, dataset: _Optional[str] = ..., interactions: _Optional[str] = ..., interactions_sql: _Optional[str] = ..., database_url: _Optional[str] = ..., event_log: _Optional[bool] = ..., items: _Optional[str] = ..., users: _Optional[str] = ..., item_features: _Optional[_Iterable[str]] = ..., user_features: _Optional[_Iterable[str]] = ..., feature_separator: _Optional[str] = ..., event_weights: _Optional[_Mapping[str, float]] = ..., half_life_days: _Optional[float] = ..., last_days: _Optional[float] = ..., split: _Optional[str] = ..., split_count: _Optional[int] = ..., split_share: _Optional[float] = ..., item_attributes: _Optional[_Iterable[str]] = ..., positive_from: _Optional[float] = ..., form: _Optional[_Union[FileForm, _Mapping]] = ..., segment_by: _Optional[_Iterable[str]] = ...) -> None: ...

class FileForm(_message.Message):
    __slots__ = ("columns", "header", "separator", "encoding", "date_format", "escaped_quotes", "skip_invalid", "item_columns", "item_header", "item_separator", "item_encoding", "user_columns", "user_header", "user_separator", "user_encoding")
    class ColumnsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class ItemColumnsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class UserColumnsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SEPARATOR_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    DATE_FORMAT_FIELD_NUMBER: _ClassVar[int]
    ESCAPED_QUOTES_FIELD_NUMBER: _ClassVar[int]
    SKIP_INVALID_FIELD_NUMBER: _ClassVar[int]
    ITEM_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    ITEM_HEADER_FIELD_NUMBER: _ClassVar[int]
    ITEM_SEPARATOR_FIELD_NUMBER: _ClassVar[int]
    ITEM_ENCODING_FIELD_NUMBER: _ClassVar[int]
    USER_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    USER_HEADER_FIELD_NUMBER: _ClassVar[int]
    USER_SEPARATOR_FIELD_NUMBER: _ClassVar[int]
    USER_ENCODING_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.ScalarMap[str, str]
    header: _containers.RepeatedScalarFieldContainer[str]
    separator: str
    encoding: str
    date_format: str
    escaped_quotes: bool
    skip_invalid: bool
    item_columns: _containers.ScalarMap[str, str]
    item_header: _containers.RepeatedScalarFieldContainer[str]
    item_separator: str
    item_encoding: str
    user_columns: _containers.ScalarMap[str, str]
    user_header: _containers.RepeatedScalarFieldContainer[str]
    user_separator: str
    user_encoding: str
    def __init__(self, columns: _Optional[_Mapping[str, str]] = ..., header: _Optional[_Iterable[str]] = ..., separator: _Optional[str] = ..., encoding: _Optional[str] = ..., date_format: _Optional[str] = ..., escaped_quotes: _Optional[bool] = ..., skip_invalid: _Optional[bool] = ..., item_columns: _Optional[_Mapping[str, str]] = ..., item_header: _Optional[_Iterable[str]] = ..., item_separator: _Optional[str] = ..., item_encoding: _Optional[str] = ..., user_columns: _Optional[_Mapping[str, str]] = ..., user_header: _Optional[_Iterable[str]] = ..., user_separator: _Optional[str] = ..., user_encoding: _Optional[str] = ...) -> None: ...

class Hyperparameters(_message.Message):
    __slots__ = ("loss", "components", "learning_rate", "item_alpha", "user_alpha", "epochs", "sample_weights", "seed", "threads")
    LOSS_FIELD_NUMBER: _ClassVar[int]
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    LEARNING_RATE_FIELD_NUMBER: _ClassVar[int]
    ITEM_ALPHA_FIELD_NUMBER: _ClassVar[int]
    USER_ALPHA_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    loss: str
    components: int
    learning_rate: float
    item_alpha: float
    user_alpha: float
    epochs: int
    sample_weights: bool
    seed: int
    threads: int
    def __init__(self, loss: _Optional[str] = ..., components: _Optional[int] = ..., learning_rate: _Optional[float] = ..., item_alpha: _Optional[float] = ..., user_alpha: _Optional[float] = ..., epochs: _Optional[int] = ..., sample_weights: _Optional[bool] = ..., seed: _Optional[int] = ..., threads: _Optional[int] = ...) -> None: ...

class Gates(_message.Message):
    __slots__ = ("min_precision_at_10", "min_auc", "min_recall", "min_coverage", "max_relative_loss", "min_users_kept", "min_items_kept", "allow_different_data", "allow_unevaluated", "min_pairs_kept", "min_ndcg_at_10", "min_metric", "min_lift_over")
    class MinMetricEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class MinLiftOverEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    MIN_PRECISION_AT_10_FIELD_NUMBER: _ClassVar[int]
    MIN_AUC_FIELD_NUMBER: _ClassVar[int]
    MIN_RECALL_FIELD_NUMBER: _ClassVar[int]
    MIN_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    MAX_RELATIVE_LOSS_FIELD_NUMBER: _ClassVar[int]
    MIN_USERS_KEPT_FIELD_NUMBER: _ClassVar[int]
    MIN_ITEMS_KEPT_FIELD_NUMBER: _ClassVar[int]
    ALLOW_DIFFERENT_DATA_FIELD_NUMBER: _ClassVar[int]
    ALLOW_UNEVALUATED_FIELD_NUMBER: _ClassVar[int]
    MIN_PAIRS_KEPT_FIELD_NUMBER: _ClassVar[int]
    MIN_NDCG_AT_10_FIELD_NUMBER: _ClassVar[int]
    MIN_METRIC_FIELD_NUMBER: _ClassVar[int]
    MIN_LIFT_OVER_FIELD_NUMBER: _ClassVar[int]
    min_precision_at_10: float
    min_auc: float
    min_recall: float
    min_coverage: float
    max_relative_loss: float
    min_users_kept: float
    min_items_kept: float
    allow_different_data: bool
    allow_unevaluated: bool
    min_pairs_kept: float
    min_ndcg_at_10: float
    min_metric: _containers.ScalarMap[str, float]
    min_lift_over: _containers.ScalarMap[str, float]
    def __init__(self, min_precision_at_10: _Optional[float] = ..., min_auc: _Optional[float] = ..., min_recall: _Optional[float] = ..., min_coverage: _Optional[float] = ..., max_relative_loss: _Optional[float] = ..., min_users_kept: _Optional[float] = ..., min_items_kept: _Optional[float] = ..., allow_different_data: _Optional[bool] = ..., allow_unevaluated: _Optional[bool] = ..., min_pairs_kept: _Optional[float] = ..., min_ndcg_at_10: _Optional[float] = ..., min_metric: _Optional[_Mapping[str, float]] = ..., min_lift_over: _Optional[_Mapping[str, float]] = ...) -> None: ...

class TrainingRun(_message.Message):
    __slots__ = ("id", "request_id", "state", "spec", "created_at", "started_at", "ended_at", "stage", "done", "total", "seconds_left", "metrics", "version", "label_moved", "gates", "warnings", "error", "seconds", "problem")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class SecondsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    SECONDS_LEFT_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LABEL_MOVED_FIELD_NUMBER: _ClassVar[int]
    GATES_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    id: str
    request_id: str
    state: TrainingRunState
    spec: TrainingSpec
    created_at: _timestamp_pb2.Timestamp
    started_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    stage: str
    done: int
    total: int
    seconds_left: float
    metrics: _containers.ScalarMap[str, float]
    version: str
    label_moved: bool
    gates: _containers.RepeatedCompositeFieldContainer[GateResult]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    error: str
    seconds: _containers.ScalarMap[str, float]
    problem: str
    def __init__(self, id: _Optional[str] = ..., request_id: _Optional[str] = ..., state: _Optional[_Union[TrainingRunState, str]] = ..., spec: _Optional[_Union[TrainingSpec, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., stage: _Optional[str] = ..., done: _Optional[int] = ..., total: _Optional[int] = ..., seconds_left: _Optional[float] = ..., metrics: _Optional[_Mapping[str, float]] = ..., version: _Optional[str] = ..., label_moved: _Optional[bool] = ..., gates: _Optional[_Iterable[_Union[GateResult, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., error: _Optional[str] = ..., seconds: _Optional[_Mapping[str, float]] = ..., problem: _Optional[str] = ...) -> None: ...

class GateResult(_message.Message):
    __slots__ = ("name", "passed", "measured", "required", "text")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    name: str
    passed: bool
    measured: float
    required: float
    text: str
    def __init__(self, name: _Optional[str] = ..., passed: _Optional[bool] = ..., measured: _Optional[float] = ..., required: _Optional[float] = ..., text: _Optional[str] = ...) -> None: ...

class GetTrainingRunRequest(_message.Message):
    __slots__ = ("training_run_id",)
    TRAINING_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    training_run_id: str
    def __init__(self, training_run_id: _Optional[str] = ...) -> None: ...

class GetTrainingRunResponse(_message.Message):
    __slots__ = ("training_run",)
    TRAINING_RUN_FIELD_NUMBER: _ClassVar[int]
    training_run: TrainingRun
    def __init__(self, training_run: _Optional[_Union[TrainingRun, _Mapping]] = ...) -> None: ...

class ListTrainingRunsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "state")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    state: TrainingRunState
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., state: _Optional[_Union[TrainingRunState, str]] = ...) -> None: ...

class ListTrainingRunsResponse(_message.Message):
    __slots__ = ("training_runs", "next_page_token")
    TRAINING_RUNS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    training_runs: _containers.RepeatedCompositeFieldContainer[TrainingRun]
    next_page_token: str
    def __init__(self, training_runs: _Optional[_Iterable[_Union[TrainingRun, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchTrainingRunRequest(_message.Message):
    __slots__ = ("training_run_id",)
    TRAINING_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    training_run_id: str
    def __init__(self, training_run_id: _Optional[str] = ...) -> None: ...

class WatchTrainingRunResponse(_message.Message):
    __slots__ = ("training_run",)
    TRAINING_RUN_FIELD_NUMBER: _ClassVar[int]
    training_run: TrainingRun
    def __init__(self, training_run: _Optional[_Union[TrainingRun, _Mapping]] = ...) -> None: ...

class CancelTrainingRunRequest(_message.Message):
    __slots__ = ("training_run_id",)
    TRAINING_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    training_run_id: str
    def __init__(self, training_run_id: _Optional[str] = ...) -> None: ...

class CancelTrainingRunResponse(_message.Message):
    __slots__ = ("training_run",)
    TRAINING_RUN_FIELD_NUMBER: _ClassVar[int]
    training_run: TrainingRun
    def __init__(self, training_run: _Optional[_Union[TrainingRun, _Mapping]] = ...) -> None: ...

class AppendInteractionsRequest(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[InteractionEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[InteractionEvent, _Mapping]]] = ...) -> None: ...

class InteractionEvent(_message.Message):
    __slots__ = ("event_id", "user_id", "item_id", "event", "weight", "happened_at")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    HAPPENED_AT_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    user_id: str
    item_id: str
    event: str
    weight: float
    happened_at: _timestamp_pb2.Timestamp
    def __init__(self, event_id: _Optional[str] = ..., user_id: _Optional[str] = ..., item_id: _Optional[str] = ..., event: _Optional[str] = ..., weight: _Optional[float] = ..., happened_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AppendInteractionsResponse(_message.Message):
    __slots__ = ("accepted", "duplicates")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    duplicates: int
    def __init__(self, accepted: _Optional[int] = ..., duplicates: _Optional[int] = ...) -> None: ...

class RemoveInteractionsRequest(_message.Message):
    __slots__ = ("event_ids", "user_ids", "item_ids", "happened_from", "happened_before", "min_weight", "max_weight", "dry_run")
    EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    USER_IDS_FIELD_NUMBER: _ClassVar[int]
    ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    HAPPENED_FROM_FIELD_NUMBER: _ClassVar[int]
    HAPPENED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    MIN_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    MAX_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    event_ids: _containers.RepeatedScalarFieldContainer[str]
    user_ids: _containers.RepeatedScalarFieldContainer[str]
    item_ids: _containers.RepeatedScalarFieldContainer[str]
    happened_from: _timestamp_pb2.Timestamp
    happened_before: _timestamp_pb2.Timestamp
    min_weight: float
    max_weight: float
    dry_run: bool
    def __init__(self, event_ids: _Optional[_Iterable[str]] = ..., user_ids: _Optional[_Iterable[str]] = ..., item_ids: _Optional[_Iterable[str]] = ..., happened_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., happened_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., min_weight: _Optional[float] = ..., max_weight: _Optional[float] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class RemoveInteractionsResponse(_message.Message):
    __slots__ = ("removed", "users", "items", "oldest", "newest", "min_weight", "max_weight", "examples", "warnings")
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIELD_NUMBER: _ClassVar[int]
    MIN_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    MAX_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    removed: int
    users: int
    items: int
    oldest: _timestamp_pb2.Timestamp
    newest: _timestamp_pb2.Timestamp
    min_weight: float
    max_weight: float
    examples: _containers.RepeatedCompositeFieldContainer[InteractionEvent]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, removed: _Optional[int] = ..., users: _Optional[int] = ..., items: _Optional[int] = ..., oldest: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., newest: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., min_weight: _Optional[float] = ..., max_weight: _Optional[float] = ..., examples: _Optional[_Iterable[_Union[InteractionEvent, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class GetVersionRequest(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: str
    def __init__(self, version: _Optional[str] = ...) -> None: ...

class GetVersionResponse(_message.Message):
    __slots__ = ("version", "manifest_json")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_JSON_FIELD_NUMBER: _ClassVar[int]
    version: Version
    manifest_json: str
    def __init__(self, version: _Optional[_Union[Version, _Mapping]] = ..., manifest_json: _Optional[str] = ...) -> None: ...

class RollbackRequest(_message.Message):
    __slots__ = ("label",)
    LABEL_FIELD_NUMBER: _ClassVar[int]
    label: str
    def __init__(self, label: _Optional[str] = ...) -> None: ...

class RollbackResponse(_message.Message):
    __slots__ = ("previous_version", "version")
    PREVIOUS_VERSION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    previous_version: str
    version: str
    def __init__(self, previous_version: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class DeleteVersionRequest(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: str
    def __init__(self, version: _Optional[str] = ...) -> None: ...

class DeleteVersionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DiffVersionsRequest(_message.Message):
    __slots__ = ("base_version", "version", "users")
    BASE_VERSION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    base_version: str
    version: str
    users: int
    def __init__(self, base_version: _Optional[str] = ..., version: _Optional[str] = ..., users: _Optional[int] = ...) -> None: ...

class DiffVersionsResponse(_message.Message):
    __slots__ = ("overlap", "items", "users", "metrics", "hyperparameters", "indexes", "attributes", "model", "metrics_problem")
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    HYPERPARAMETERS_FIELD_NUMBER: _ClassVar[int]
    INDEXES_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    METRICS_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    overlap: Overlap
    items: IdChanges
    users: IdChanges
    metrics: _containers.RepeatedCompositeFieldContainer[MetricChange]
    hyperparameters: _containers.RepeatedCompositeFieldContainer[SettingChange]
    indexes: _containers.RepeatedCompositeFieldContainer[SettingChange]
    attributes: _containers.RepeatedCompositeFieldContainer[SettingChange]
    model: _containers.RepeatedCompositeFieldContainer[SettingChange]
    metrics_problem: str
    def __init__(self, overlap: _Optional[_Union[Overlap, _Mapping]] = ..., items: _Optional[_Union[IdChanges, _Mapping]] = ..., users: _Optional[_Union[IdChanges, _Mapping]] = ..., metrics: _Optional[_Iterable[_Union[MetricChange, _Mapping]]] = ..., hyperparameters: _Optional[_Iterable[_Union[SettingChange, _Mapping]]] = ..., indexes: _Optional[_Iterable[_Union[SettingChange, _Mapping]]] = ..., attributes: _Optional[_Iterable[_Union[SettingChange, _Mapping]]] = ..., model: _Optional[_Iterable[_Union[SettingChange, _Mapping]]] = ..., metrics_problem: _Optional[str] = ...) -> None: ...

class Overlap(_message.Message):
    __slots__ = ("users", "mean", "median", "min")
    USERS_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    users: int
    mean: float
    median: float
    min: float
    def __init__(self, users: _Optional[int] = ..., mean: _Optional[float] = ..., median: _Optional[float] = ..., min: _Optional[float] = ...) -> None: ...

class IdChanges(_message.Message):
    __slots__ = ("before", "after", "added", "lost", "added_ids", "lost_ids")
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    ADDED_IDS_FIELD_NUMBER: _ClassVar[int]
    LOST_IDS_FIELD_NUMBER: _ClassVar[int]
    before: int
    after: int
    added: int
    lost: int
    added_ids: _containers.RepeatedScalarFieldContainer[str]
    lost_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, before: _Optional[int] = ..., after: _Optional[int] = ..., added: _Optional[int] = ..., lost: _Optional[int] = ..., added_ids: _Optional[_Iterable[str]] = ..., lost_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class MetricChange(_message.Message):
    __slots__ = ("name", "before", "after")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    name: str
    before: float
    after: float
    def __init__(self, name: _Optional[str] = ..., before: _Optional[float] = ..., after: _Optional[float] = ...) -> None: ...

class SettingChange(_message.Message):
    __slots__ = ("name", "before", "after")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    name: str
    before: str
    after: str
    def __init__(self, name: _Optional[str] = ..., before: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class ListVersionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListVersionsResponse(_message.Message):
    __slots__ = ("versions", "next_page_token", "software_version")
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[Version]
    next_page_token: str
    software_version: str
    def __init__(self, versions: _Optional[_Iterable[_Union[Version, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., software_version: _Optional[str] = ...) -> None: ...

class Version(_message.Message):
    __slots__ = ("name", "created_at", "labels", "items", "users", "metrics", "problem", "recall_at_10", "model_family", "model_kind", "errors", "test")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class RecallAt10Entry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class ErrorsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    RECALL_AT_10_FIELD_NUMBER: _ClassVar[int]
    MODEL_FAMILY_FIELD_NUMBER: _ClassVar[int]
    MODEL_KIND_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    TEST_FIELD_NUMBER: _ClassVar[int]
    name: str
    created_at: _timestamp_pb2.Timestamp
    labels: _containers.RepeatedScalarFieldContainer[str]
    items: int
    users: int
    metrics: _containers.ScalarMap[str, float]
    problem: str
    recall_at_10: _containers.ScalarMap[str, float]
    model_family: str
    model_kind: str
    errors: _containers.ScalarMap[str, float]
    test: str
    def __init__(self, name: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., labels: _Optional[_Iterable[str]] = ..., items: _Optional[int] = ..., users: _Optional[int] = ..., metrics: _Optional[_Mapping[str, float]] = ..., problem: _Optional[str] = ..., recall_at_10: _Optional[_Mapping[str, float]] = ..., model_family: _Optional[str] = ..., model_kind: _Optional[str] = ..., errors: _Optional[_Mapping[str, float]] = ..., test: _Optional[str] = ...) -> None: ...

class SetLabelRequest(_message.Message):
    __slots__ = ("label", "version")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    label: str
    version: str
    def __init__(self, label: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class SetLabelResponse(_message.Message):
    __slots__ = ("previous_version",)
    PREVIOUS_VERSION_FIELD_NUMBER: _ClassVar[int]
    previous_version: str
    def __init__(self, previous_version: _Optional[str] = ...) -> None: ...

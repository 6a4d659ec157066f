"""The JSON log format's parts; the logging module is configured by fastlambda.logs, whose classes these are."""

import json
import logging
from enum import IntEnum

from fastlambda import logs
from fastlambda.face import attach

_DATETIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_RESERVED_FIELDS = logs._OWN_FIELDS
_LEVELS = (logging.NOTSET, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
_JSON_FRAME_TYPES = {level: logs.frame_type(level, False) for level in _LEVELS}
_TEXT_FRAME_TYPES = {level: logs.frame_type(level, True) for level in _LEVELS}
_DEFAULT_FRAME_TYPE = _TEXT_FRAME_TYPES[logging.NOTSET]

JsonFormatter = logs.class_named("JsonFormatter")

# Records are written by this one, whose `default` may be set.
_json_encoder = json.JSONEncoder(ensure_ascii=False, default=str)
_encode_json = _json_encoder.encode


class LogFormat(IntEnum):
    """The two formats."""

    JSON = 0
    TEXT = 1

    @classmethod
    def from_str(cls, value: "str | None") -> int:
        """The format that AWS_LAMBDA_LOG_FORMAT names."""
        return (cls.JSON if value and value.upper() == "JSON" else cls.TEXT).value


def _get_log_level_from_env_var(log_level: "str | None") -> str:
    names: dict[str | None, str] = {None: "", "TRACE": "DEBUG"}
    return names.get(log_level, log_level or "").upper()


def _format_log_level(record: logging.LogRecord) -> int:
    return logs._floor(record.levelno)


attach(__name__)

/* Owns: the fields of Config, the environment variable of each, and what it is without one.
 * Promises: nothing but data.
 * Must not know: how a variable is read, Python.
 * Source: Lambda's documented environment variables; docs/configuration.md for ours.
 */
#ifndef FASTLAMBDA_SETTINGS_H
#define FASTLAMBDA_SETTINGS_H

enum setting_kind {
    SETTING_TEXT,   /* as it is; without one: None */
    SETTING_NUMBER, /* a whole number; `value` without one */
    SETTING_SWITCH, /* 1: on unless the variable is "0"; 0: off unless it is "1" */
};

static const struct setting {
    const char *name, *variable;
    enum setting_kind kind;
    int value;
} SETTINGS[] = {
    {"runtime_api", "AWS_LAMBDA_RUNTIME_API", SETTING_TEXT, 0},
    {"handler", "_HANDLER", SETTING_TEXT, 0},
    {"region", "AWS_REGION", SETTING_TEXT, 0}, /* else AWS_DEFAULT_REGION */
    {"function_name", "AWS_LAMBDA_FUNCTION_NAME", SETTING_TEXT, 0},
    {"function_version", "AWS_LAMBDA_FUNCTION_VERSION", SETTING_TEXT, 0},
    {"memory_limit_in_mb", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", SETTING_TEXT, 0},
    {"log_group_name", "AWS_LAMBDA_LOG_GROUP_NAME", SETTING_TEXT, 0},
    {"log_stream_name", "AWS_LAMBDA_LOG_STREAM_NAME", SETTING_TEXT, 0},
    {"initialization_type", "AWS_LAMBDA_INITIALIZATION_TYPE", SETTING_TEXT, 0},
    {"task_root", "LAMBDA_TASK_ROOT", SETTING_TEXT, 0},
    {"http", "FASTLAMBDA_HTTP", SETTING_TEXT, 0},
    {"json", "FASTLAMBDA_JSON", SETTING_TEXT, 0},
    {"json_layout", "FASTLAMBDA_JSON_LAYOUT", SETTING_TEXT, 0},
    {"pipeline", "FASTLAMBDA_PIPELINE", SETTING_SWITCH, 0},
    {"guard", "FASTLAMBDA_GUARD", SETTING_SWITCH, 1},
    {"timeout_margin_ms", "FASTLAMBDA_TIMEOUT_MARGIN_MS", SETTING_NUMBER, 100},
    {"timeout_last_ms", "FASTLAMBDA_TIMEOUT_LAST_MS", SETTING_NUMBER, 30},
    {"after_timeout", "FASTLAMBDA_AFTER_TIMEOUT", SETTING_TEXT, 0}, /* "exit" without one */
    {"memory_margin_mb", "FASTLAMBDA_MEMORY_MARGIN_MB", SETTING_NUMBER, -1}, /* -1: none, growth decides */
    {"init_limit_ms", "FASTLAMBDA_INIT_LIMIT_MS", SETTING_NUMBER, 0},        /* else Lambda's own limit */
    {"log_format", "AWS_LAMBDA_LOG_FORMAT", SETTING_TEXT, 0},
    {"log_level", "AWS_LAMBDA_LOG_LEVEL", SETTING_TEXT, 0},
    {"telemetry_fd", "_LAMBDA_TELEMETRY_LOG_FD", SETTING_TEXT, 0},
    {"lazy_imports", "FASTLAMBDA_LAZY_IMPORTS", SETTING_SWITCH, 0},
    {"register_extension", "FASTLAMBDA_REGISTER_EXTENSION", SETTING_SWITCH, 0},
};

enum { N_SETTINGS = sizeof SETTINGS / sizeof SETTINGS[0] };

#endif

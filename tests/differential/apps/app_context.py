"""Answers with what the context holds."""

import copy
import os
import pickle
import sys
import weakref

FIELDS = [
    "aws_request_id",
    "invoked_function_arn",
    "function_name",
    "function_version",
    "memory_limit_in_mb",
    "log_group_name",
    "log_stream_name",
    "tenant_id",
]


kept = []


def handler(event, context):
    name = context.aws_request_id
    if name == "end-of-batch":
        os._exit(0)
    if name == "remaining":
        left = context.get_remaining_time_in_millis()
        return {"type": type(left).__name__, "sane": 50_000 < left <= 60_000}
    if name in ("remaining-past", "remaining-no-deadline"):
        return context.get_remaining_time_in_millis()
    if name == "deadline-private":
        return type(context._epoch_deadline_time_in_ms).__name__
    if name == "set-attributes":
        context.mine = 1
        context.function_name = "other"
        return [context.mine, context.function_name, repr(context)]
    if name == "vars-are-kept":
        context.extra = "x"
        return context.__dict__.get("extra")
    if name == "attributes-from-last-time":
        return hasattr(context, "mine")
    if name == "missing-attribute":
        return context.nothing
    if name == "delete-attribute":
        del context.function_name
        return hasattr(context, "function_name")
    if name == "environment-is-read-late":
        os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "changed"
        return context.function_name
    if name == "environment-changed-before":
        return context.function_name
    if name == "vars":
        values = vars(context)
        return {"names": list(values), "plain": {k: v for k, v in values.items() if isinstance(v, (str, type(None)))}}
    if name == "vars-are-written":
        context.__dict__["mine"] = 5
        vars(context)["function_name"] = "other"
        return [context.mine, context.function_name]
    if name == "deepcopy":
        context.mine = [1]
        twin = copy.deepcopy(context)
        return [type(twin) is type(context), twin.mine, twin.mine is context.mine, twin.aws_request_id, repr(twin)]
    if name == "copied-attributes":
        context.mine = [1]
        twin = copy.copy(context)
        twin.other = 2
        return [twin.mine is context.mine, hasattr(context, "other"), twin.get_remaining_time_in_millis() > 50_000]
    if name == "pickle":
        context.mine = 1
        twin = pickle.loads(pickle.dumps(context))
        left = twin.get_remaining_time_in_millis()
        return [
            type(twin) is type(context),
            twin.mine,
            repr(twin),
            list(vars(twin)),
            twin.w3c(),
            50_000 < left <= 60_000,
        ]
    if name == "weakref":
        return weakref.ref(context)() is context
    if name == "isinstance":
        from awslambdaric.lambda_context import LambdaContext

        return [
            isinstance(context, LambdaContext),
            isinstance({}, LambdaContext),
            LambdaContext("a", {"custom": 1}, {"cognitoIdentityId": "i"}, 5, "arn").__repr__(),
        ]
    if name == "kept-vars":
        kept.append(vars(context))
        return None
    if name == "kept-vars-later":
        return kept[0]["aws_request_id"]
    if name == "log":
        context.log("no newline")
        context.log(5)
        context.log("line\n")
        return None
    if name == "same-w3c-object":
        return context.w3c() is context.w3c()
    if name == "class-name":
        return type(context).__name__
    if name == "client-context-slots":
        try:
            context.client_context.other = 1
        except AttributeError as exc:
            return str(exc)
        return "settable"
    if name == "identity-settable":
        context.identity.cognito_identity_id = "x"
        return repr(context.identity)
    if name == "copy":
        return copy.copy(context).aws_request_id
    if name == "stderr":
        sys.stderr.write("to stderr\n")
        return None
    client_context = context.client_context
    return {
        **{field: getattr(context, field) for field in FIELDS},
        "identity": [context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id],
        "identity-repr": repr(context.identity),
        "w3c": context.w3c(),
        "client_context": client_context
        and {
            "custom": client_context.custom,
            "env": client_context.env,
            "client": client_context.client and {n: getattr(client_context.client, n) for n in CLIENT},
        },
        "repr": repr(context),
    }


CLIENT = ["installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name"]

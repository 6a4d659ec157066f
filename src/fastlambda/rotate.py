"""Rotation of Secrets Manager's secrets: four steps, each of which may be repeated at any time.

Owns the steps' order and checks, reading and writing of versions, and their labels.
Promises: a field that the declared type does not know is written back as it was; no value of a secret, and no text that
may have been made from one, gets into a log, a repr or an exception that leaves here.
Must not know: sockets, the other features.  boto3 is imported here and nowhere else.
Source: Secrets Manager User Guide, "Rotation by Lambda function", and AWS's rotation templates; names of the Rust crate
lambda-runtime-types.
"""

import enum

from fastlambda._core import running
from fastlambda.errors import FastlambdaError, MemoryExhausted, UnmarshalError, UsageError, check_interruption
from fastlambda.redact import alone, ours, spoken_of
from fastlambda.runner import PLAIN, Runner, subscript

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from typing import Any, Generic, TypeVar

    from fastlambda._core import Context
    from fastlambda.runner import LambdaEvent

    Shared = TypeVar("Shared")
    Secret = TypeVar("Secret")
else:
    from fastlambda.runner import _Subscriptable

    Shared = Secret = None
    Generic = {Secret: _Subscriptable, (Shared, Secret): object}

# Names under which AWS's services say "slower, please".
THROTTLED = {
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 5.0
# Kept of the function's time for reporting the failure.
TO_TELL_S = 0.5


class Step(enum.StrEnum):
    """The steps of a rotation, in their order; each is an invocation of its own."""

    createSecret = "createSecret"
    setSecret = "setSecret"
    testSecret = "testSecret"
    finishSecret = "finishSecret"


class RotationError(FastlambdaError):
    """A step failed.  Says which step and field, or kinds and codes of exceptions; never a text that others made."""


class Event:
    """What Secrets Manager sends.

    Attributes:
        Step: one of Step.
        SecretId: ARN of the secret.
        ClientRequestToken: id of the new version, the same in all four steps.
        RotationToken: passed on when the new version is written, or None.
    """

    __slots__ = ("ClientRequestToken", "RotationToken", "SecretId", "Step")

    def __init__(self, event: object) -> None:
        if not isinstance(event, dict):
            raise UnmarshalError("Unable to unmarshal input: the event of a rotation is an object")
        for name in ("Step", "SecretId", "ClientRequestToken"):
            if not (isinstance(event.get(name), str) and event[name]):
                raise UnmarshalError(f"Unable to unmarshal input: the event of a rotation needs text at `$.{name}`")
        self.Step: str = event["Step"]
        self.SecretId: str = event["SecretId"]
        self.ClientRequestToken: str = event["ClientRequestToken"]
        self.RotationToken: str | None = event.get("RotationToken")

    def __repr__(self) -> str:
        return f"Event({self.Step}, {self.SecretId!r}, version {self.ClientRequestToken!r})"


class SecretContainer(Generic[Secret]):
    """One version of a secret: what the declared type knows of it, and all the rest, which is kept.

    Attributes:
        secret: of the declared type; change it, or replace it.
        version_id: of the version, "" for one that is not written yet.
    """

    __slots__ = ("_is_binary", "_rest", "_type", "secret", "version_id")

    secret: "Secret"

    def __init__(self, secret: "Secret", secret_type: "SecretType", rest: object, is_binary: bool) -> None:
        self.secret = secret
        self.version_id = ""
        self._type = secret_type
        self._rest = rest
        self._is_binary = is_binary

    def copy(self) -> "SecretContainer[Secret]":
        """Another one with the same values, to be changed into the new version; nothing is shared with this one."""
        return self._type.read(self.value())

    def value(self) -> "str | bytes":
        """The whole version as it is stored: text, or bytes where the current version is binary."""
        return self._type.write(self)

    def __repr__(self) -> str:
        return f"SecretContainer(version_id={self.version_id!r})"  # and none of its values

    __str__ = __repr__


class Smc:
    """Secrets Manager as a step sees it; a call that is throttled is made again while there is time.

    Args:
        client: boto3's client of Secrets Manager, without retries of its own.
        event: of the step.
        ctx: the Context of the invocation, for the deadline.

    Attributes:
        client: boto3's client.
        event: of the step.
    """

    def __init__(self, client: "Any", event: Event, ctx: "Context") -> None:
        self.client = client
        self.event = event
        self._ctx = ctx

    def generate_new_password(self, punctuation: bool = True, length: int = 32, *, exclude: str = "") -> str:
        """A random password made by Secrets Manager, with a character of each kind.

        Args:
            punctuation: whether it has punctuation.
            length: characters, 4 to 4096.
            exclude: characters that it must not have.
        """
        answer = self.call(
            "get_random_password",
            PasswordLength=length,
            ExcludePunctuation=not punctuation,
            ExcludeCharacters=exclude,
            RequireEachIncludedType=True,
        )
        password: str = answer["RandomPassword"]
        return password

    def call(self, method: str, **arguments: "Any") -> "Any":
        """One call of boto3's client, repeated when it is throttled or the service is not there.

        The pauses double, each is a random part of it, and the last one ends before the deadline.

        Args:
            method: of the client.
            arguments: of the method.

        Raises:
            botocore.exceptions.ClientError: the service refused, or time ran out while it was throttling.
        """
        import time
        from random import uniform

        from botocore.exceptions import ClientError, HTTPClientError

        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return getattr(self.client, method)(**arguments)
            except (ClientError, HTTPClientError) as exc:
                if isinstance(exc, ClientError):
                    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                    if exc.response.get("Error", {}).get("Code") not in THROTTLED and status < 500 and status != 429:
                        raise
                wait_s = uniform(0, pause_s)
                if wait_s >= self._left_s():
                    raise
            time.sleep(wait_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _told(self, exc: BaseException) -> BaseException:
        """What leaves in the place of an exception that came out of a step."""
        return spoken_of(exc, f"{self.event.Step} failed", RotationError)

    def _left_s(self) -> float:
        if not self._ctx.deadline:
            return LONGEST_PAUSE_S
        return self._ctx.get_remaining_time_in_millis() / 1000 - TO_TELL_S

    def _read(self, secret_type: "SecretType", **which: str) -> "SecretContainer[Any]":
        """A version of the secret."""
        answer = self.call("get_secret_value", SecretId=self.event.SecretId, **which)
        value = answer["SecretString"] if "SecretString" in answer else bytes(answer["SecretBinary"])
        container = secret_type.read(value)
        container.version_id = answer["VersionId"]
        return container

    def _write(self, container: "SecretContainer[Any]") -> None:
        """Puts the pending version; the token makes a repetition harmless."""
        from botocore.exceptions import ParamValidationError

        value = container.value()
        more = {"RotationToken": self.event.RotationToken} if self.event.RotationToken else {}
        try:
            self.call(
                "put_secret_value",
                SecretId=self.event.SecretId,
                ClientRequestToken=self.event.ClientRequestToken,
                VersionStages=["AWSPENDING"],
                **{"SecretString" if isinstance(value, str) else "SecretBinary": value},
                **more,
            )
        except ParamValidationError:
            # Its message quotes what it refuses.
            raise _fault(
                f"boto3 does not take the new version of {self.event.SecretId}: it is empty, or has over 65,536 bytes"
            ) from None


def _fault(message: str) -> RotationError:
    """Of our own words alone."""
    return ours(RotationError(message))


# ---- the declared type --------------------------------------------------------------------------------------------


class SecretType:
    """Reads and writes versions of a secret as a declared type.

    Args:
        declared: `str` or `bytes` for a secret that is one value, else what the secret's JSON object is decoded to.
    """

    def __init__(self, declared: "Any") -> None:
        self.declared = declared
        self._decode: Callable[[bytes], Any] | None = None
        self._encode: Callable[[Any], bytes] | None = None
        if declared is not bytes and declared not in PLAIN:
            from fastlambda.typed import decoder, encoder

            self._decode = decoder(declared)
            self._encode = encoder(declared, by_alias=True)

    def read(self, value: "str | bytes") -> "SecretContainer[Any]":
        """A container for a version as it is stored.

        Raises:
            RotationError: it does not fit the declared type; the message has places, and no values.
        """
        is_binary = isinstance(value, bytes)
        if self.declared is str or self.declared is bytes:
            if isinstance(value, self.declared):
                return SecretContainer(value, self, None, is_binary)
            raise _fault(f"the secret is {'binary' if is_binary else 'text'}, and {self.declared.__name__} declared")
        from json import loads

        try:
            raw = loads(value)
        except ValueError:
            raise _fault("the secret is not JSON") from None
        if self._decode is None:
            return SecretContainer(raw, self, None, is_binary)
        try:
            secret = self._decode(value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass"))
        except UnmarshalError as exc:
            raise _fault(f"the secret is not of type {self.declared!r}: {_places(str(exc), raw)}") from None
        return SecretContainer(secret, self, _rest(raw, self._known(secret)), is_binary)

    def write(self, container: "SecretContainer[Any]") -> "str | bytes":
        """A version as it is stored: what the type knows, and what it does not.

        Raises:
            RotationError: the secret cannot be encoded, or would not be read as it was written.
        """
        secret = container.secret
        if self.declared is str or self.declared is bytes:
            if not isinstance(secret, self.declared):
                raise _fault(f"a {type(secret).__name__} is no secret of type {self.declared.__name__}")
            return secret
        from json import dumps, loads

        known = self._known(secret)
        try:
            text = dumps(_merged(known, container._rest), ensure_ascii=False)
        except (TypeError, ValueError):
            raise _fault("the secret cannot be encoded as JSON") from None
        # A field that is read under one name and written under another would lose its new value here.
        if self._decode is not None:
            try:
                again = self._known(self._decode(text.encode("utf-8", "surrogatepass")))
            except UnmarshalError as exc:
                raise _fault(f"the new secret is not of its own type: {_places(str(exc), loads(text))}") from None
            if again != known:
                raise _fault("the declared type does not read what it writes: look at its aliases")
        return text.encode("utf-8", "surrogatepass") if container._is_binary else text

    def _known(self, secret: object) -> "Any":
        """What the declared type has to say, as JSON values."""
        if self._encode is None:
            return secret
        import warnings
        from json import loads

        from fastlambda.errors import MarshalError

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydantic's quote the value that does not fit its field
                return loads(self._encode(secret))
        except MarshalError:
            raise _fault(f"the secret cannot be encoded as {self.declared!r}") from None


_MISSING = object()


def _rest(raw: object, known: object) -> object:
    """What is in `raw` and not in `known`, in the shape of `raw`: nothing that the type knows is in it."""
    if isinstance(raw, dict) and isinstance(known, dict):
        rest = {k: v if k not in known else _rest(v, known[k]) for k, v in raw.items()}
        return {k: v for k, v in rest.items() if v is not _MISSING} or _MISSING
    if isinstance(raw, list) and isinstance(known, list) and len(raw) == len(known):
        parts = [_rest(a, b) for a, b in zip(raw, known, strict=True)]
        return parts if any(part is not _MISSING for part in parts) else _MISSING
    return _MISSING


def _merged(known: object, rest: object) -> object:
    if isinstance(known, dict) and isinstance(rest, dict):
        return {**rest, **{k: _merged(v, rest.get(k, _MISSING)) for k, v in known.items()}}
    if isinstance(known, list) and isinstance(rest, list) and len(known) == len(rest):
        return [_merged(a, b) for a, b in zip(known, rest, strict=True)]
    return known


def _places(message: str, raw: object) -> str:
    """Where a value is wrong, out of a message that may quote the value: by names that are in `raw` or in the type."""
    import re

    missing = re.match(r"[\w :.,|\[\]]*: Object missing required field `(\w+)`", message)
    told = [f"missing required field `{missing[1]}`"] if missing else []
    for is_missing, place in re.findall(r"(Field required - )?at `\$([^`]*)`", message):
        last = place.rpartition(".")[2] if is_missing else ""
        told.append(f"at `{_place(place, raw, last)}`")
    return ", ".join(dict.fromkeys(told)) or "at `$`"


def _place(path: str, raw: object, last: str) -> str:
    """A path such as .hosts[0].tls as far as it leads into `raw`; only its end may be a field that is missing there."""
    import re

    place = "$"
    for name, index in re.findall(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]", path):
        if name and isinstance(raw, dict) and name in raw:
            raw, place = raw[name], f"{place}.{name}"
        elif index.isdecimal() and isinstance(raw, list) and int(index) < len(raw):
            raw, place = raw[int(index)], f"{place}[{index}]"
        elif name == last and name.isidentifier():
            return f"{place}.{name}"
        else:
            return f"{place}[...]" if index else place
    return place


# ---- the rotation -------------------------------------------------------------------------------------------------


class RotateRunner(Runner[Shared, object, object], Generic[Shared, Secret]):
    """Rotates a secret: subclass it as `class MyRotation(RotateRunner[Shared, Secret])`.

    Define `create`, `set` and `test`, and `setup` and `finish` where they are needed; each is `def` or `async def`.

    Type parameters:
        Shared: what setup() returns.
        Secret: what the secret's JSON object is decoded to (fields that it does not have are kept all the same), or
            `str` or `bytes` for a secret that is one value.
    """

    def __init__(self) -> None:
        types = subscript(type(self), RotateRunner)
        if len(types) == 2 and types[1] is not bytes and types[1] not in PLAIN:
            from fastlambda.typed import type_arguments

            types = type_arguments(type(self), RotateRunner)
        self._type = SecretType(types[1] if len(types) == 2 else object)
        self._client: Any = None
        try:
            import boto3  # noqa: F401  slow: it belongs to the init, not to the first step
        except ImportError:
            raise UsageError("fastlambda.rotate needs boto3: pip install 'fastlambda[rotate]'") from None

    def create(
        self, shared: "Shared", secret_cur: "SecretContainer[Secret]", smc: Smc
    ) -> "Awaitable[SecretContainer[Secret] | Secret] | SecretContainer[Secret] | Secret":
        """Makes the new version, and changes nothing else.

        Args:
            shared: what setup() returned.
            secret_cur: the current version.
            smc: makes passwords.

        Returns:
            The new version, most easily `secret_cur.copy()` with a new password; or just a Secret.
        """
        raise ours(NotImplementedError(f"{type(self).__name__} does not define create(shared, secret_cur, smc)"))

    def set(
        self, shared: "Shared", secret_cur: "SecretContainer[Secret]", secret_new: "SecretContainer[Secret]"
    ) -> "Awaitable[None] | None":
        """Makes the service accept the new version; not called when test() passes with it already.

        Args:
            shared: what setup() returned.
            secret_cur: the current version, which the service accepts.
            secret_new: the new version.
        """
        raise ours(NotImplementedError(f"{type(self).__name__} does not define set(shared, secret_cur, secret_new)"))

    def test(self, shared: "Shared", secret_new: "SecretContainer[Secret]") -> "Awaitable[None] | None":
        """Raises unless the service accepts the new version; changes nothing.

        Args:
            shared: what setup() returned.
            secret_new: the new version.
        """
        raise ours(NotImplementedError(f"{type(self).__name__} does not define test(shared, secret_new)"))

    def finish(
        self, shared: "Shared", secret_cur: "SecretContainer[Secret]", secret_new: "SecretContainer[Secret]"
    ) -> "Awaitable[None] | None":
        """Called before the new version becomes the current one; does nothing unless overridden.

        Args:
            shared: what setup() returned.
            secret_cur: the version that is current so far.
            secret_new: the new version.
        """
        return None

    def client(self, region: "str | None") -> "Any":
        """Makes boto3's client of Secrets Manager, once in a process; override it to use another role, say.

        Args:
            region: AWS region id, or None when the environment names none.

        Returns:
            A client without retries of its own: repeating calls is Smc's, which knows the deadline.
        """
        import os

        import boto3
        from botocore.config import Config

        config = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=5, read_timeout=15)
        # AWS's templates set this one.
        endpoint = os.environ.get("SECRETS_MANAGER_ENDPOINT") or None
        return boto3.client("secretsmanager", region_name=region, endpoint_url=endpoint, config=config)

    def run(self, shared: "Shared", event: "LambdaEvent[Any]") -> "Awaitable[None] | None":
        """One step.

        Raises:
            ValueError: the secret is not being rotated to the event's version, or the step is unknown.
            RotationError: a version does not fit the declared type, or other code raised: see fastlambda.redact.
        """
        step = Event(event.event)
        if self._client is None:
            self._client = self.client(event.region)
        smc = Smc(self._client, step, event.ctx)
        steps = self._steps(shared, smc)
        try:
            value = None
            while True:
                value = steps.send(value)
                if hasattr(type(value), "__await__"):
                    return self._go_on(steps, smc, value)
                check_interruption()
        except StopIteration:
            _part_from_errors()
            return None
        except BaseException as exc:
            told = smc._told(exc)
        _part_from_errors()
        raise told  # out here, so that what is not told does not come along as its context

    async def _go_on(self, steps: "Generator[Any, Any, None]", smc: Smc, value: "Any") -> None:
        """The rest of a step once a method has turned out to be asynchronous."""
        try:
            while True:
                try:
                    if hasattr(type(value), "__await__"):
                        value = await value
                    check_interruption()
                except Exception as exc:
                    value = steps.throw(exc)
                else:
                    value = steps.send(value)
        except StopIteration:
            _part_from_errors()
            return
        except BaseException as exc:
            told = smc._told(exc)
        _part_from_errors()
        raise told

    def _steps(self, shared: "Shared", smc: Smc) -> "Generator[Any, Any, None]":
        """One step; what the user's methods return is handed out, and comes back awaited."""
        event = smc.event
        token = event.ClientRequestToken
        versions = _checked(smc)
        if versions is None:
            return
        current = smc._read(self._type, VersionStage="AWSCURRENT")
        if event.Step == Step.createSecret:
            if _exists(smc, token):
                return
            made = yield self.create(shared, current, smc)
            if not isinstance(made, SecretContainer):
                made = SecretContainer(made, self._type, current._rest, current._is_binary)
            smc._write(made)
            return
        pending = smc._read(self._type, VersionId=token, VersionStage="AWSPENDING")
        if event.Step == Step.setSecret:
            try:
                yield self.test(shared, pending)
                return
            except MemoryExhausted:
                raise
            except Exception:
                pass  # it is not accepted yet, which is what this step is for
            yield self.set(shared, current, pending)
        elif event.Step == Step.testSecret:
            yield self.test(shared, pending)
        else:
            yield self.finish(shared, current, pending)
            _make_current(smc, versions)


def _part_from_errors() -> None:
    """The guard's interruption is posted whatever a step made of it: without the error that was being handled."""
    runtime = running()
    if runtime is not None and runtime.interruption is not None:
        alone(runtime.interruption)


def _describe(smc: Smc) -> "dict[str, Any]":
    return smc.call("describe_secret", SecretId=smc.event.SecretId)  # type: ignore[no-any-return]


def _checked(smc: Smc) -> "dict[str, list[str]] | None":
    """The labels of each version; None when the event's version is current already: there is nothing to do.

    Raises:
        ValueError: the secret is not being rotated to this version, or the step is unknown.
    """
    event = smc.event
    described = _describe(smc)
    versions: dict[str, list[str]] = described.get("VersionIdsToStages", {})
    if not described.get("RotationEnabled"):
        raise ours(ValueError(f"secret {event.SecretId} is not enabled for rotation"))
    if event.ClientRequestToken not in versions:
        raise ours(ValueError(f"secret {event.SecretId} has no version {event.ClientRequestToken}"))
    labels = versions[event.ClientRequestToken]
    if "AWSCURRENT" in labels:
        return None
    if "AWSPENDING" not in labels:
        raise ours(ValueError(f"version {event.ClientRequestToken} of secret {event.SecretId} is not pending"))
    if event.Step not in list(Step):
        raise ours(ValueError(f"unknown step {event.Step[:64]!r}"))
    return versions


def _exists(smc: Smc, token: str) -> bool:
    """Whether the pending version has a value already: it is kept, whatever made it."""
    from botocore.exceptions import ClientError

    try:
        answer = smc.call("get_secret_value", SecretId=smc.event.SecretId, VersionId=token, VersionStage="AWSPENDING")
    except ClientError as exc:
        if exc.response.get("Error", {}).get("Code") == "ResourceNotFoundException":
            return False
        raise
    return "SecretString" in answer or "SecretBinary" in answer


def _make_current(smc: Smc, versions: "dict[str, list[str]]") -> None:
    """Moves AWSCURRENT to the event's version, and takes AWSPENDING from it."""
    from botocore.exceptions import ClientError

    event = smc.event
    where = {"SecretId": event.SecretId}
    token = event.ClientRequestToken
    old = next((version for version, labels in versions.items() if "AWSCURRENT" in labels), None)
    move = {"MoveToVersionId": token} if old is None else {"MoveToVersionId": token, "RemoveFromVersionId": old}
    try:
        smc.call("update_secret_version_stage", **where, VersionStage="AWSCURRENT", **move)
    except ClientError:
        # A call that was repeated after its answer was lost finds the label moved already.
        if "AWSCURRENT" not in _describe(smc).get("VersionIdsToStages", {}).get(token, []):
            raise
    try:
        smc.call("update_secret_version_stage", **where, VersionStage="AWSPENDING", RemoveFromVersionId=token)
    except ClientError as exc:
        # On the current version the label does no harm, and the rotation is done.
        from fastlambda.errors import complain

        complain(f"{event!r}: AWSPENDING stays on the current version: {exc.response.get('Error', {}).get('Code')}")

"""The developer's AWS credentials as the variables in which Lambda gives a function its role's.

Promises: they are read only when this is called.  Resolves profiles, single sign-on and roles with botocore, which is
imported here and nowhere else.
Source: AWS Lambda, "Defined runtime environment variables"; botocore's credential providers.
"""

import os


class NoCredentials(ValueError):
    """There are none, or they cannot be had; str() says why and what to do."""


def variables(profile: str | None = None) -> dict[str, str]:
    """Credentials as AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, and the region where there is one.

    Args:
        profile: of the developer's configuration; None: those that the AWS CLI would use here.

    Raises:
        NoCredentials: see there.
    """
    try:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.session import Session
    except ImportError:
        return _of_the_environment(profile)
    try:
        session = Session(profile=profile)
        found = session.get_credentials()
        frozen = found.get_frozen_credentials() if found is not None else None
        region = session.get_config_variable("region")
    except (BotoCoreError, ClientError) as exc:
        raise NoCredentials(str(exc)) from None
    if frozen is None or not frozen.access_key:
        where = f"profile {profile!r} has none" if profile else "none are configured here"
        raise NoCredentials(f"{where}: `aws configure` or `aws sso login` makes some")
    made = {"AWS_ACCESS_KEY_ID": frozen.access_key, "AWS_SECRET_ACCESS_KEY": frozen.secret_key}
    if frozen.token:
        made["AWS_SESSION_TOKEN"] = frozen.token
    if region:
        made.update(AWS_REGION=region, AWS_DEFAULT_REGION=region)
    return made


def _of_the_environment(profile: str | None) -> dict[str, str]:
    """Without botocore: what the shell has."""
    if profile or "AWS_ACCESS_KEY_ID" not in os.environ:
        what = f"profile {profile!r}" if profile else "a profile (AWS_ACCESS_KEY_ID is not set here)"
        raise NoCredentials(f"reading {what} needs botocore: pip install boto3")
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return {name: os.environ[name] for name in names if name in os.environ}

"""What stands as `awslambdaricmain` in the program of AWS's managed runtimes."""

from . import bootstrap as bootstrap
from .lambda_runtime_client import LambdaRuntimeClient as LambdaRuntimeClient


def main(args: "list[str]") -> None:
    """AWS's own start, which this process has behind it."""
    raise RuntimeError("awslambdaric cannot be started in a process of fastlambda's, which serves the function already")

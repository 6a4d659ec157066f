"""fastlambda: a Python AWS Lambda runtime with a Cython core."""

from fastlambda._core import Config as Config
from fastlambda._core import Context as Context
from fastlambda._core import main as main
from fastlambda._version import __version__ as __version__
from fastlambda.errors import InvocationTimeout as InvocationTimeout
from fastlambda.errors import MemoryExhausted as MemoryExhausted
from fastlambda.hooks import after_response as after_response
from fastlambda.hooks import on_shutdown as on_shutdown
from fastlambda.hooks import register_after_restore as register_after_restore
from fastlambda.hooks import register_before_snapshot as register_before_snapshot
from fastlambda.runner import LambdaEvent as LambdaEvent
from fastlambda.runner import Runner as Runner
from fastlambda.runner import TestData as TestData
from fastlambda.runner import exec as exec
from fastlambda.runner import exec_async as exec_async
from fastlambda.runner import exec_test as exec_test
from fastlambda.streams import HttpStream as HttpStream
from fastlambda.streams import StreamingResponse as StreamingResponse
from fastlambda.streams import streaming as streaming

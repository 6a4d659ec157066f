"""AWS's client started by the path of a script, as the managed runtimes do it: cheaper than `-m`.

Usage: python aws_bootstrap.py module.function, with AWS_LAMBDA_RUNTIME_API set.
"""

import os
import sys

from awslambdaric.__main__ import main

sys.path.append(os.getcwd())
main(sys.argv)

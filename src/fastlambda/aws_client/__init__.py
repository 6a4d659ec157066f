"""What tools find as `awslambdaric` in a process of fastlambda's: the names of AWS's client, on fastlambda's loop.

Nothing imports this folder as fastlambda.aws_client: the finder of the core serves it under AWS's name, so that what is
replaced in these modules is replaced where their own functions look.  What each name does here: docs/observability.md.
"""

# The client whose names these are.
__version__ = "4.2.2"

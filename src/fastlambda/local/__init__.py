"""The developer's machine: a Runtime API endpoint, the function's process, the command line, fixtures for pytest.

Never loaded in Lambda.  Importing this package loads nothing; take what you need from its rooms:
`fastlambda.local.endpoint.RuntimeApi`, `fastlambda.local.process.Function`.
"""

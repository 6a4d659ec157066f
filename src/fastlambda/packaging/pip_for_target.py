"""Runs pip for another Python and another machine: the program of a child process.

  python pip_for_target.py MARKERS ARGUMENT...

pip chooses wheels for a target (--platform, --python-version) but answers environment markers for the machine that it
runs on.  Its resolver asks one function for those answers; here that function gives MARKERS, a JSON object.  Promises:
a pip that would not listen is not used: exit status 97.
"""

import json
import sys

NOT_LISTENING = 97


def main() -> None:
    target = json.loads(sys.argv[1])
    from pip._vendor.packaging import markers

    setattr(markers, "default_environment", lambda: dict(target))  # noqa: B010  it is not declared to be replaced
    asked = {name: value for name, value in target.items() if value}
    for name, value in asked.items():
        if not markers.Marker(f"{name} == '{value}'").evaluate({"extra": ""}):
            sys.exit(NOT_LISTENING)
    if markers.Marker("sys_platform == 'no such platform'").evaluate({"extra": ""}):
        sys.exit(NOT_LISTENING)
    from pip._internal.cli.main import main as pip

    sys.argv[0] = "pip"
    sys.exit(pip(sys.argv[2:]))


if __name__ == "__main__":
    main()

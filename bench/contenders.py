"""Who is measured, and how each is started: the one place to change a command.

A command is a list; {python}, {handler}, {bin} (the compiled C programs) and {peers} are filled in by the rig.
"""

from dataclasses import dataclass, field

# The starts of fastlambda.  MODULE is what one types; FASTEST is the entry point of images and bootstraps (deploy/).
MODULE = ["{python}", "-m", "fastlambda", "{handler}"]
FASTEST = ["{python}", "-c", "import fastlambda; fastlambda.main()", "{handler}"]

FLOOR = "C client"
AWS = "awslambdaric"
PASS = "python -c pass"


@dataclass(frozen=True)
class Contender:
    """One row of the tables.

    Args:
        name: as the tables show it.
        command: argument list with placeholders.
        needs: distributions that must be installed.
        env: variables on top of Lambda's.
        suites: where it takes part, of cold, warm, volume, memory.
        decodes: False for the C clients, which echo bytes.
    """

    name: str
    command: list
    needs: tuple = ()
    env: dict = field(default_factory=dict)
    suites: tuple = ("cold", "warm", "volume", "memory")
    decodes: bool = True


CONTENDERS = [
    Contender(FLOOR, ["{bin}/client"], suites=("cold", "warm", "volume"), decodes=False),
    Contender("C client, pipelined", ["{bin}/client", "--pipeline"], suites=("warm",), decodes=False),
    Contender("fastlambda", FASTEST, ("fastlambda",)),
    Contender("fastlambda -m", MODULE, ("fastlambda",), suites=("cold",)),
    Contender("fastlambda, guard off", FASTEST, ("fastlambda",), {"FASTLAMBDA_GUARD": "0"}, suites=("cold", "warm")),
    Contender(
        "fastlambda, pipelined", FASTEST, ("fastlambda",), {"FASTLAMBDA_PIPELINE": "1"}, suites=("warm", "volume")
    ),
    # The event's bytes, undecoded, and back: the distance to the row above it is what JSON costs.
    Contender(
        "fastlambda, without JSON",
        [*FASTEST[:-1], "echo_bytes:Echo"],
        ("fastlambda",),
        suites=("warm",),
        decodes=False,
    ),
    Contender(AWS, ["{python}", "-m", "awslambdaric", "{handler}"], ("awslambdaric",)),
    Contender(
        "awslambdaric by script",
        ["{python}", "{peers}/aws_bootstrap.py", "{handler}"],
        ("awslambdaric",),
        suites=("cold",),
    ),
    Contender("http.client + json", ["{python}", "{peers}/http_client.py", "{handler}"]),
    Contender("h11 + orjson", ["{python}", "{peers}/rapid_h11.py", "{handler}"], ("h11", "orjson")),
]

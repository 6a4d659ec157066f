"""The environment in which tests start the functions of flow/functions.py."""

from pathlib import Path

from support import clean_env

FUNCTIONS = Path(__file__).resolve().parent / "flow"


def functions_env(**more: str) -> dict[str, str]:
    return clean_env(PYTHONPATH=str(FUNCTIONS), **more)

"""Rotations that tests start in processes of their own.  The service is a file with the password that it accepts."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastlambda.rotate import RotateRunner, SecretContainer, Smc


@dataclass
class Options:
    tls: bool = True


@dataclass
class Login:
    host: str
    password: str
    options: Options = field(default_factory=Options)
    hosts: list[Options] = field(default_factory=list)


def fail_if_asked(step: str, login: Login, *told: str) -> None:
    """Fails once when the file HOST.fail names the step; tells what nobody should hear."""
    path = Path(f"{login.host}.fail")
    if path.exists() and path.read_text() == step:
        path.unlink()
        raise ValueError(f"{step} failed for {login!r}", *told) from OSError(5, f"inner {login.password}")


class File(RotateRunner[str, Login]):
    def setup(self, region: str | None) -> str:
        return "shared"

    def create(self, shared: str, secret_cur: SecretContainer[Login], smc: Smc) -> SecretContainer[Login]:
        assert shared == "shared"
        new = secret_cur.copy()
        new.secret.password = smc.generate_new_password(True, 24, exclude="\"'\\")
        fail_if_asked("createSecret", new.secret, f"made {new.secret.password}")
        return new

    def set(self, shared: str, secret_cur: SecretContainer[Login], secret_new: SecretContainer[Login]) -> None:
        print(f"setting {secret_new}, {secret_cur!r}")
        fail_if_asked("setSecret", secret_new.secret)
        service = Path(secret_new.secret.host)
        if service.read_text() != secret_cur.secret.password:
            raise PermissionError(f"{secret_cur.secret.password} is not accepted")
        with Path(f"{secret_new.secret.host}.sets").open("a") as sets:
            sets.write("set\n")
        service.write_text(secret_new.secret.password)

    def test(self, shared: str, secret_new: SecretContainer[Login]) -> None:
        fail_if_asked("testSecret", secret_new.secret)
        if Path(secret_new.secret.host).read_text() != secret_new.secret.password:
            raise PermissionError(f"{secret_new.secret.password} is not accepted")

    def finish(self, shared: str, secret_cur: SecretContainer[Login], secret_new: SecretContainer[Login]) -> None:
        fail_if_asked("finishSecret", secret_new.secret)


class AsyncFile(File):
    async def create(self, shared: str, secret_cur: Any, smc: Smc) -> Any:  # type: ignore[override]
        return super().create(shared, secret_cur, smc)

    async def set(self, shared: str, secret_cur: Any, secret_new: Any) -> None:  # type: ignore[override]
        super().set(shared, secret_cur, secret_new)

    async def test(self, shared: str, secret_new: Any) -> None:  # type: ignore[override]
        super().test(shared, secret_new)

    async def finish(self, shared: str, secret_cur: Any, secret_new: Any) -> None:  # type: ignore[override]
        super().finish(shared, secret_cur, secret_new)

"""Rotates the password of a PostgreSQL user, who changes it himself.

The secret has the form that Amazon RDS uses (host, port, dbname, username, password); whatever else is in it is kept.
Needs `fastlambda[rotate,typed]` and `psycopg[binary]`.

fastlambda invoke examples.rotate_postgres:Rotation '{"Step": "testSecret", "SecretId": ..., "ClientRequestToken": ...}'
"""

from dataclasses import dataclass

import psycopg
from psycopg import sql

from fastlambda.rotate import RotateRunner, SecretContainer, Smc


@dataclass
class Login:
    host: str
    username: str
    password: str
    dbname: str = "postgres"
    port: int = 5432


def connect(login: Login) -> psycopg.Connection:
    return psycopg.connect(
        host=login.host,
        port=login.port,
        dbname=login.dbname,
        user=login.username,
        password=login.password,
        connect_timeout=5,
        autocommit=True,
    )


class Rotation(RotateRunner[None, Login]):
    def create(self, shared: None, secret_cur: SecretContainer[Login], smc: Smc) -> SecretContainer[Login]:
        new = secret_cur.copy()
        new.secret.password = smc.generate_new_password(punctuation=False, length=32)
        return new

    def set(self, shared: None, secret_cur: SecretContainer[Login], secret_new: SecretContainer[Login]) -> None:
        new = secret_new.secret
        with connect(secret_cur.secret) as connection:
            # Hashed on this side: the statement, which servers log, does not have the password.
            hashed = connection.pgconn.encrypt_password(new.password.encode(), new.username.encode(), b"scram-sha-256")
            connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(new.username), sql.Literal(hashed.decode()))
            )

    def test(self, shared: None, secret_new: SecretContainer[Login]) -> None:
        with connect(secret_new.secret) as connection:
            connection.execute("SELECT 1")

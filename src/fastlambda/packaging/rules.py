"""Which of a function's files are packed.

Owns the list of what stays behind: what is no code, and what may be a secret.  docs/layers.md shows the same list; a
test compares them.  Knows no file system but the head of a certificate.
"""

import fnmatch
from pathlib import PurePosixPath

# Of no use in Lambda.  Compared with the name of each file and folder, and with its path below the source.
NOT_CODE = (
    *("__pycache__", "*.egg-info", ".hg", ".svn", ".venv", "venv", ".tox", ".nox", ".DS_Store", ".idea", ".vscode"),
    *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".coverage", ".aws-sam", ".serverless"),
)
# What may hold a secret, upper or lower case.
SECRETS = (
    # settings of a deployment
    *(".env", ".env.*", "*.env", ".envrc", ".secrets", ".secrets.*", "secrets.toml", "*.tfstate", "*.tfstate.*"),
    *("*.tfvars", "*.tfvars.json", ".terraform", ".terraformrc", "terraform.rc"),
    # clouds
    *(".aws", ".azure", ".boto", ".s3cfg", ".oci", ".kube", "kubeconfig", ".docker", ".dockercfg"),
    *(
        ".config/gcloud",
        "application_default_credentials.json",
        "credentials.json",
        "client_secret*.json",
        "*service-account*.json",
    ),
    *(".databrickscfg", ".snowsql", ".vault-token"),
    # keys
    *(".ssh", ".gnupg", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.pem", "*.key", "*.ppk", "*.p12", "*.pfx"),
    *("*.jks", "*.keystore", "*.kdbx"),
    # passwords
    *(".netrc", "_netrc", ".npmrc", ".yarnrc.yml", ".pypirc", "pip.conf", ".pip", ".git-credentials", ".htpasswd"),
    *(".pgpass", ".my.cnf", ".mylogin.cnf"),
    # history: what was deleted is in there still
    *(".git", ".*_history"),
)
# A *.pem of certificates alone is public: packages of others bring one to know whom to trust.
_CERTIFICATE, _PRIVATE = b"-----BEGIN CERTIFICATE-----", b"PRIVATE KEY"
MAX_CERTIFICATES = 4 * 1024 * 1024


def is_public(name: str, content: bytes) -> bool:
    """Whether a file that looks like a secret holds nothing but certificates."""
    return name.lower().endswith(".pem") and _CERTIFICATE in content and _PRIVATE not in content


class Rules:
    """What is packed.  --exclude is stronger than --include, and that is stronger than the lists above.

    Args:
        include: patterns of names or paths that stay, though a list names them; "*" is everything.
        exclude: patterns of names or paths to leave out.
    """

    def __init__(self, include: list[str], exclude: list[str]) -> None:
        self._include = include
        self._exclude = exclude

    def why_left_out(self, path: PurePosixPath) -> str | None:
        """Looks at one file or folder, and not at what it is in.

        Args:
            path: below the source.

        Returns:
            "excluded", "not code" or "maybe secret"; None: it stays.
        """
        if _matches(path, self._exclude):
            return "excluded"
        if _matches(path, self._include):
            return None
        if _matches(path, SECRETS, fold=True):
            return "maybe secret"
        return "not code" if _matches(path, NOT_CODE) else None

    def is_included(self, path: PurePosixPath) -> bool:
        """Whether --include names it, and --exclude does not."""
        return _matches(path, self._include) and not _matches(path, self._exclude)

    def may_include_below(self, path: PurePosixPath) -> bool:
        """Whether --include names something in a folder that a list leaves out."""
        below = path.as_posix() + "/"
        return any(pattern.startswith(below) for pattern in self._include)


def _matches(path: PurePosixPath, patterns: "list[str] | tuple[str, ...]", *, fold: bool = False) -> bool:
    name, whole = path.name, path.as_posix()
    if fold:
        name, whole = name.lower(), whole.lower()
    for pattern in patterns:
        pattern = pattern.strip("/")
        if fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(whole, pattern):
            return True
    return False

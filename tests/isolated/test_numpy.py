"""A process pays for numpy only when its handler uses it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support import clean_env


def test_a_value_that_orjson_does_not_know_does_not_import_numpy(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise ImportError('imported for nothing')")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
asked = []
class Watch:
    def find_spec(self, name, path=None, target=None):
        asked.append(name)
sys.meta_path.insert(0, Watch())
from decimal import Decimal
from fastlambda._core import Codec
codec = Codec("orjson")
assert codec.name == "orjson"
assert codec.encode({{"price": Decimal("1.5")}}) == b'{{"price":1.5}}'
assert "numpy" not in asked, asked
"""
    subprocess.run([sys.executable, "-c", code], env=clean_env(), check=True)

"""What an installation brings: three packages, their SQL and type marks, one command; and what importing costs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"shadow", "shadow_adapters", "shadow_flags"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    pytest.importorskip("hatchling", reason="no wheel without hatchling: pip install hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("shadow_cutover-*.whl")))


def test_a_wheel_holds_our_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == OURS


def test_a_wheel_holds_every_file_of_the_packages(wheel: zipfile.ZipFile) -> None:
    folders = [ROOT / "shadow", ROOT / "adapters" / "shadow_adapters", ROOT / "flags" / "shadow_flags"]
    wanted = {
        file.relative_to(folder.parent).as_posix()
        for folder in folders
        for suffix in ("*.py", "*.sql", "py.typed")
        for file in folder.rglob(suffix)
    }
    assert wanted <= set(wheel.namelist())
    assert {f"{package}/py.typed" for package in OURS} <= wanted


def test_a_wheel_brings_the_command(wheel: zipfile.ZipFile) -> None:
    entry = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "shadow = shadow.cli:main" in wheel.read(entry).decode()


def test_importing_the_package_imports_no_driver_of_a_store() -> None:
    drivers = {"weaviate", "redis", "UnleashClient", "asyncpg", "pymongo", "motor"}
    code = "import shadow, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not drivers & set(done.stdout.split())

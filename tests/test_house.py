"""The project keeps its own rules: rooms, light start, whole packages, no trace of a machine."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement

import soxspipe

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "soxspipe"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

#: Start-up time of `soxspipe --help` goes to these if nobody watches.
HEAVY = ("matplotlib", "numba", "pydantic", "scipy", "astropy")


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )


def project_files() -> list[Path]:
    """Files under version control, or about to be."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.splitlines() if (ROOT / name).is_file()]


def test_each_room_uses_only_the_rooms_below_it():
    # A cache would hide a forbidden import of a module that is new.
    run = python("from importlinter.cli import lint_imports as check; exit(check(no_cache=True))")
    assert run.returncode == 0, run.stdout + run.stderr


def test_help_answers_without_heavy_imports():
    run = python(
        "import sys; from soxspipe.cli.main import main\n"
        "sys.argv = ['soxspipe', '--help']\n"
        "try: status = main()\n"
        "except SystemExit as end: status = end.code\n"
        f"print('heavy:', *(m for m in {HEAVY} if m in sys.modules))\n"
        "sys.exit(status)"
    )
    assert run.returncode == 0, run.stderr
    assert "reduce" in run.stdout
    assert run.stdout.splitlines()[-1].strip() == "heavy:"


def test_the_wheel_holds_every_file_of_the_package():
    packed = {item.distribution_path for item in WheelBuilder(str(ROOT)).recurse_included_files()}
    present = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert present - packed == set()
    assert any(name.endswith(".ecsv") for name in packed)


def test_no_file_names_a_machine_or_a_registry():
    machine = re.compile(r"(?<![\w.])/(?:work|root|home|Users|tmp/\w)/?\w*/|pythonhosted|index-url")
    found = []
    for path in project_files():
        content = path.read_bytes()
        if path == Path(__file__) or b"\0" in content:
            continue
        if hit := machine.search(content.decode("utf-8", errors="replace")):
            found.append(f"{path.relative_to(ROOT)}: {hit.group()}")
    assert found == []


def test_modules_are_small():
    lengths = {
        path.relative_to(PACKAGE).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    assert {name: n for name, n in lengths.items() if n > 300} == {}


def test_every_dependency_is_pinned_within_its_bounds():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert all(str(pin.specifier).startswith("==") for pin in pins)
    pinned = {_plain(pin.name): str(pin.specifier)[2:] for pin in pins}
    project = PYPROJECT["project"]
    wanted = [*PYPROJECT["build-system"]["requires"], *project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pinned[_plain(requirement.name)]), requirement


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_version_is_the_same_everywhere():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGES.md").read_text(encoding="utf-8")
    assert f"\nversion: {soxspipe.__version__}\n" in citation
    assert re.search(r"^## (\S+)", changes, re.MULTILINE).group(1) == soxspipe.__version__


def test_continuous_integration_runs_the_test_command_of_the_readme():
    command = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1]
    assert f"$ {command} " in (ROOT / "README.md").read_text(encoding="utf-8")
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


@pytest.mark.parametrize(
    "page", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")], ids=lambda path: path.name
)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []

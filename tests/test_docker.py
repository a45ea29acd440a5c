"""The Dockerfile and its scripts keep their promises; built for real where a builder is at hand."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def instructions() -> list[tuple[str, str]]:
    """(INSTRUCTION, rest) with continued lines joined, comments left out."""
    text = (ROOT / "Dockerfile").read_text()
    text = re.sub(r"^#.*\n", "", text, flags=re.M)
    text = text.replace("\\\n", " ")
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    return [(word, rest.strip()) for word, rest in lines]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    start = max(place for place, (word, _) in enumerate(found) if word == "FROM")
    return found[start:]


def test_base_and_torch_are_arguments() -> None:
    arguments = [rest.split("=")[0] for word, rest in instructions() if word == "ARG"]
    assert arguments == ["BASE", "TORCH", "TORCH_INDEX", "EXTRAS", "REVISION"]
    stages = [rest for word, rest in instructions() if word == "FROM"]
    assert stages == ["${BASE} AS build", "build AS packages", "build AS project", "${BASE}"]


def test_it_ends_as_a_user_without_rights() -> None:
    (user,) = [rest for word, rest in last_stage() if word == "USER"]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    (entry,) = [rest for word, rest in last_stage() if word == "ENTRYPOINT"]
    assert entry == '["scoremix-pipeline"]', "without a shell, so that signals arrive"


def test_a_change_of_code_makes_a_small_layer() -> None:
    before, after = (rest for word, rest in last_stage() if word == "COPY")
    assert before == "--from=packages /opt/scoremix /opt/scoremix"
    assert after == "--from=project /project/opt/scoremix /opt/scoremix"
    found = instructions()
    shared = found[: found.index(("FROM", "build AS packages"))]
    copied = [source for word, rest in shared if word == "COPY" for source in rest.split()[:-1]]
    assert copied == ["constraints.txt", "setup.cfg", "deploy/requirements.py"]


def test_every_installation_is_constrained() -> None:
    installs = [rest for word, rest in instructions() if word == "RUN" and "pip install" in rest]
    assert len(installs) == 3
    assert all(rest.count("pip install") == rest.count("-c constraints.txt") for rest in installs)


def test_nothing_is_installed_in_the_last_stage() -> None:
    for word, rest in last_stage():
        assert word != "RUN" or not re.search(r"\b(apt|pip|curl|wget|git)\b", rest), rest


def test_what_is_copied_exists_and_is_let_in() -> None:
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists() and f"!{source}" in kept, source


def test_packages_are_all_copied() -> None:
    copied = " ".join(rest for word, rest in instructions() if word == "COPY")
    for folder in ("pipeline", "stages", "models", "manifests"):
        assert re.search(rf"\b{folder} {folder}\b", copied)


def test_requirements_are_those_of_setup_cfg() -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "deploy" / "requirements.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)

    plain = run("setup.cfg", "").stdout.split()
    more = run("setup.cfg", "demo,export").stdout.split()
    assert "pyarrow>=15" in plain and not any(line.startswith("torch") for line in more)
    assert set(more) - set(plain) >= {"scikit-learn>=1.4", "h5py>=3.10", "lmdb>=1.4"}
    wrong = run("setup.cfg", "demos")
    assert wrong.returncode == 1 and "EXTRAS names 'demos'; there are: demo" in wrong.stderr


def test_the_scripts_are_valid() -> None:
    for script in (ROOT / "deploy").glob("*.sh"):
        assert os.access(script, os.X_OK), script
        subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.slow
def test_the_image_is_built_and_runs() -> None:
    if os.environ.get("SCOREMIX_IMAGE_BUILD") is None:
        pytest.skip("SCOREMIX_IMAGE_BUILD is not set to the arguments of the build, or to ''")
    if not any(map(shutil.which, ("docker", "podman", "buildah"))):
        pytest.skip("no docker, podman or buildah")
    more = os.environ["SCOREMIX_IMAGE_BUILD"].split()
    subprocess.run([ROOT / "deploy" / "build-image.sh", "scoremix-test", *more], check=True)
    subprocess.run([ROOT / "deploy" / "smoke.sh", "scoremix-test"], check=True)

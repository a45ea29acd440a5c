"""Whatever the documents claim: derived files are regenerated, named paths exist."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from scoremix.manifests.plan import schema
from scoremix.pipeline.docs import BEGIN, DERIVED, END, REGIONS, with_region
from scoremix.stages.common.presets import PRESETS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", list(DERIVED))
def test_derived_files_are_what_the_code_gives(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == DERIVED[name](), "run `make docs`"


@pytest.mark.parametrize("name", list(REGIONS))
def test_derived_parts_are_what_the_code_gives(name: str) -> None:
    document = (ROOT / "docs" / name).read_text()
    assert document.count(BEGIN) == document.count(END) == 1
    assert document == with_region(document, REGIONS[name]()), "run `make docs`"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (document.parent / target).exists(), target


def test_every_column_is_documented() -> None:
    text = (ROOT / "docs" / "formats.md").read_text()
    for table in (schema.SOURCES, schema.PLAN, schema.MANIFEST):
        for name in table.names:
            assert f"`{name}`" in text, name
    for name in schema.SAMPLE_FIELDS:
        assert f"`{name}`" in text, name


def test_the_preset_table_is_the_codes() -> None:
    text = (ROOT / "docs" / "presets.md").read_text()
    for name, rows in PRESETS.items():
        for row in rows:
            cells = (name, row.width, f"{row.steps:,}", row.batch, row.levels)
            pattern = r"\| `{}` \| [^|]+ \| {} \| {} \| {} \| [^|]+ \| {} \|".format(*cells)
            assert re.search(pattern, text), pattern


def test_yaml_blocks_are_valid_stages() -> None:
    from scoremix.pipeline.config import compose

    for document in DOCUMENTS:
        for block in re.findall(r"```yaml\n(.*?)```", document.read_text(), flags=re.S):
            compose(yaml.safe_load(block), [], document.name)


def test_shell_blocks_use_commands_and_options_that_exist() -> None:
    from scoremix.pipeline.cli import commands

    seen = 0
    for document in DOCUMENTS:
        for block in re.findall(r"```sh\n(.*?)```", document.read_text(), flags=re.S):
            for line in block.replace("\\\n", " ").splitlines():
                words = line.split("#")[0].split()
                names = [word for word in words if word in ("scoremix-pipeline", "scoremix")]
                words = words[words.index(names[0]) + 1 :] if names else []
                if not words or (names[0] == "scoremix" and words[0] not in commands.commands):
                    continue  # "scoremix" is the image's name in docs/docker.md
                command = commands.commands[words[0]]
                known = {flag for option in command.params for flag in option.opts}
                assert {word for word in words if word.startswith("--")} <= known, line
                seen += 1
    assert seen >= 5


def test_documents_speak_of_the_project_alone() -> None:
    for document in DOCUMENTS:
        assert not re.search(r"(?<![\w.)])/(home|root|tmp|mnt|work)/", document.read_text())


def test_promises_name_tests_that_exist() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text()
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", text)
    assert len(named) >= 40
    for file, test in named:
        assert f"def {test}(" in (ROOT / "tests" / file).read_text(), f"{file}::{test}"


def _tree_in_design() -> set[str]:
    """Paths of the folders in the tree of docs/design.md."""
    text = (ROOT / "docs" / "design.md").read_text()
    block = re.search(r"## The tree\n\n```text\n(.*?)```", text, flags=re.S)
    assert block
    parents: list[str] = []
    folders = set()
    for indent, name in re.findall(r"^( *)(\w+)/ +\S", block[1], flags=re.M):
        parents[len(indent) // 2 :] = [name]
        folders.add("/".join(parents))
    return folders


def test_the_tree_in_design_has_every_folder_once() -> None:
    packages = {
        str(path.parent.relative_to(ROOT))
        for top in ("pipeline", "stages", "manifests", "models")
        for path in (ROOT / top).rglob("__init__.py")
    }
    own = {path.parent for path in (ROOT / "tests").rglob("*.py")}  # without mirrored ones
    mirrored = {ROOT / "tests" / package for package in packages}
    tests = {str(path.relative_to(ROOT)) for path in own if path not in mirrored}
    assert _tree_in_design() == packages | tests


def test_the_way_of_an_image_names_functions_that_exist() -> None:
    text = (ROOT / "docs" / "design.md").read_text().partition("## The way of one image")[2]
    hops = re.findall(r"\| `([\w/]+\.py)` \| `([\w.]+)` \|$", text, flags=re.M)
    assert len(hops) >= 20
    for path, name in hops:
        scope: list[ast.stmt] = ast.parse((ROOT / path).read_text()).body
        for part in name.split("."):
            found = [
                node
                for node in scope
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == part
            ]
            assert found, f"{path} has no {name}"
            scope = found[0].body

"""Whatever the documents claim: derived files are regenerated, named paths exist."""

import ast
import re
import tokenize
from pathlib import Path

import pytest
import yaml
from source_tree import FOLDERS, modules, tree_of

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
    own = {"refinenet": ("paper", "small", "tiny"), "unet": ("gpu", "small", "tiny")}
    for network, names in own.items():
        for name in names:
            for row in PRESETS[network][name]:
                cells = (name, network, row.width, f"{row.steps:,}", row.batch, f"{row.lr:g}")
                cells += (row.levels, f"{row.t0:g}")
                pattern = r"\| `{}` \| `{}` \| [^|]+ \| {} \| {} \| {} \| {} \| {} \|.*\| {} \|"
                assert re.search(pattern.format(*cells), text), cells


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


# Scripts of the trainers, which the documents name beside ours.
FOREIGN = {
    "calc_inception.py", "calc_metrics.py", "calculate_inception_moments.py",
    "calculate_metrics.py", "data_wds.py", "eval.py", "fid.py", "gen_images.py",
    "generate_images.py", "inception_utils.py", "main.py", "mine.py", "models.py", "sample.py",
    "train_edm2.py", "train_styleswin.py", "train_unconditional.py",
    "solver.py", "test.py", "utils.py",
}  # fmt: skip
RENAMED = {"manifests.subset"}  # in the CHANGELOG, beside its new name
SUFFIXES = {"yaml", "yml", "lock", "schema", "py"}  # stages.yaml is no module
OURS = "manifests|models|pipeline|stages|tests|benchmarks|docs|deploy|examples"
# A line with a comment, or at least a #, and after it what a name of a file or module needs.
MAY_NAME = re.compile(rf"#.*(?:(?:{OURS})/|\.py\b|\b(?:manifests|models|pipeline|stages)\.)")


def prose() -> dict[Path, str]:
    """Whatever names files: documents and settings whole; of code the comments and docstrings."""
    whole = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/**/*.md")]
    whole += [ROOT / name for name in ("Makefile", "Dockerfile", "setup.cfg", ".ci/run")]
    whole += [path for name in ("deploy", "examples") for path in sorted((ROOT / name).iterdir())]
    found = {path: path.read_text() for path in whole if path.is_file()}
    for folder in (*FOLDERS, "tests", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            parts = []
            if MAY_NAME.search(path.read_text()):  # to take all files apart takes half a minute
                with path.open("rb") as file:
                    tokens = list(tokenize.tokenize(file.readline))
                parts = [token.string for token in tokens if token.type == tokenize.COMMENT]
            for node in ast.walk(tree_of(path)):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                    parts.append(ast.get_docstring(node) or "")
            found[path] = "\n".join(parts)
    return found


def test_files_and_modules_that_are_named_exist() -> None:
    scripts = {path.name for folder in (*FOLDERS, "tests", "benchmarks", "deploy", "examples")
               for path in (ROOT / folder).rglob("*.py")}  # fmt: skip
    missing, known = [], {*modules(), *RENAMED}
    for path, text in prose().items():
        text = re.sub(r"--out \S+|RESULTS\S*", "", text)  # what a command will write
        for name in re.findall(rf"(?<![\w/.-])(?:{OURS})/[\w./-]*\w", text):
            places = [base / name for base in (ROOT, path.parent, ROOT / "tests")]
            # A stem stands for its files: benchmarks/results/digits for .json and .md.
            if not any(one.exists() or any(one.parent.glob(f"{one.name}.*")) for one in places):
                missing.append((path, name))
        for name in re.findall(r"(?<![\w/.-])([\w/.-]+\.py)\b", text):
            if Path(name).name not in scripts | FOREIGN:
                missing.append((path, name))
        for name in re.findall(r"\b(?:manifests|models|pipeline|stages)\.[a-z]\w*\b(?!\()", text):
            if name.partition(".")[2] not in SUFFIXES and name not in known:
                missing.append((path, name))
    assert not missing


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

"""The house rules: what imports what, what packages say of themselves, the package list, sizes."""

import ast
import configparser
import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from source_tree import (
    FOLDERS,
    ROOT,
    TOPLEVEL,
    cycle,
    imports,
    members,
    modules,
    packages,
    tree_of,
)

from scoremix.pipeline.config import Config
from scoremix.stages.ingest.config import MaxBad, PatchesConfig, SourceConfig

MAY_IMPORT = {
    "manifests": {"manifests"},
    "models": {"models"},
    "stages": {"stages", "models", "manifests"},
    "pipeline": {"pipeline", "stages", "models", "manifests"},
}
# What each package of stages imports of the others: a package stands below those that it names.
STAGES_IMPORT: dict[str, set[str]] = {
    "common": set(),
    "images": {"common"},
    "corpus": {"common", "images"},
    "sources": {"common", "images"},
    "ingest": {"common", "corpus", "images", "sources"},
    "train": {"common", "corpus"},
    "generate": {"common"},
    "write": {"common", "generate", "images"},
    "evaluate": {"common", "generate", "images"},
    "pilot": {"common", "evaluate", "generate"},
    "recognise": {"common", "corpus", "train"},
    "gan_samples": {"common", "corpus", "evaluate", "images", "ingest", "sources"},
    "recognition": {
        "common",
        "corpus",
        "evaluate",
        "images",
        "ingest",
        "recognise",
        "report",
        "trial",
    },  # fmt: skip
    "report": {"common", "corpus", "evaluate", "gan_samples", "images", "pilot"},
    "export": {"common", "corpus", "images"},
    "mount": {"export"},
    "check": {"common", "images", "sources"},
    "trial": {"common", "corpus", "evaluate", "generate", "images", "report", "train"},
}
LONGEST_FUNCTION, LONGEST_FILE = 60, 350  # lines
MAY_BE_LONGER: set[str] = set()  # functions by module.name, with the reason beside


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_point_one_way(folder: str) -> None:
    for module in modules():
        if module.split(".")[0] == folder:
            found = {name.split(".")[0] for name in imports(module)}
            assert found <= MAY_IMPORT[folder], module


@pytest.mark.parametrize("package", packages())
def test_a_packages_members_import_each_other_without_a_circle(package: str) -> None:
    """Each module and sub-package is one node; imports in functions and for types count too."""
    graph: dict[str, set[str]] = {name: set() for name in members(package)}
    inside = f"{package}."
    for module in modules():
        if module.startswith(inside):
            own = module.removeprefix(inside).split(".")[0]
            others = {
                name.removeprefix(inside).split(".")[0]
                for name in imports(module)
                if name.startswith(inside)
            }
            graph[own] |= others - {own}
    assert not cycle(graph), " -> ".join(cycle(graph))


def test_the_packages_of_stages_import_what_the_table_says() -> None:
    found: dict[str, set[str]] = {name: set() for name in members("stages")}
    for module in modules():
        if module.startswith("stages."):
            others = {name.split(".")[1] for name in imports(module) if name.startswith("stages.")}
            found[module.split(".")[1]] |= others - {module.split(".")[1]}
    assert found == STAGES_IMPORT


@pytest.mark.parametrize("package", packages())
def test_a_packages_docstring_is_a_map_of_it(package: str) -> None:
    """A line for every module and sub-package: name, two spaces or more, purpose."""
    text = ast.get_docstring(tree_of(modules()[package])) or ""
    named = re.findall(r"^ *([a-z][a-z0-9_]*)/?  +\S", text, flags=re.M)
    assert sorted(named) == sorted(members(package))


def test_no_two_classes_have_one_name() -> None:
    found: dict[str, list[str]] = {}
    for module, path in modules().items():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(module)
    assert not {name: places for name, places in found.items() if len(places) > 1}


def test_functions_and_files_are_short() -> None:
    for module, path in modules().items():
        assert len(path.read_text().splitlines()) <= LONGEST_FILE, module
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                name = f"{module}.{node.name}"
                assert lines <= LONGEST_FUNCTION or name in MAY_BE_LONGER, (name, lines)


def test_the_package_list_names_every_folder() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = config["options"]["packages"].split()
    nested = [path.parent for folder in FOLDERS for path in (ROOT / folder).rglob("*/__init__.py")]
    nested.remove(TOPLEVEL)
    expected = [*FOLDERS, *(".".join(path.relative_to(ROOT).parts) for path in nested)]
    # An editable install imports a sub-package that the list forgot; the wheel would lack it.
    assert sorted(listed) == sorted(["scoremix", *(f"scoremix.{name}" for name in expected)])
    lines = config["options"]["package_dir"].split("\n")
    folders = dict(line.split(" = ") for line in lines if line)
    assert folders.pop("scoremix") == TOPLEVEL.relative_to(ROOT).as_posix()
    assert folders == {f"scoremix.{folder}": folder for folder in FOLDERS}


def test_the_package_itself_has_files_and_no_modules_of_work() -> None:
    """What it offers is in pipeline/library: there it is checked like everything else."""
    assert {path.name for path in TOPLEVEL.iterdir()} - {"__pycache__"} == {
        "__init__.py",
        "__main__.py",
        "py.typed",
    }
    makefile = (ROOT / "Makefile").read_text()
    assert "for file in __init__.py __main__.py py.typed;" in makefile  # links that mypy follows


def test_the_package_needs_no_torch_until_it_is_used() -> None:
    check = (
        "import sys, scoremix; found = dir(scoremix); version = scoremix.__version__;"
        "print('torch' in sys.modules, {*scoremix.__all__} <= {*found}, bool(version))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True"]


def test_python_m_scoremix_is_the_command_line() -> None:
    words = [sys.executable, "-m", "scoremix", "run", "nowhere.yaml"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2 and "could not be read" in done.stderr


def test_tests_stand_in_the_folders_of_what_they_test() -> None:
    for folder in FOLDERS:
        for path in (ROOT / "tests" / folder).rglob("test_*.py"):
            assert (
                path.parent.relative_to(ROOT / "tests").as_posix().replace("/", ".") in packages()
            )


def test_manifests_need_no_torch() -> None:
    files = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "manifests").rglob("*.py")]
    names = sorted(".".join(path.parts) for path in files if path.name != "__init__")
    imports = "; ".join(f"import scoremix.{name}" for name in names)
    check = f"import sys; {imports}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_help_does_not_wait_for_torch() -> None:
    check = (
        "import sys; from scoremix.pipeline.cli import exit_code, commands;"
        "exit_code(lambda: commands.main(['--help'], standalone_mode=False));"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False")


@pytest.mark.parametrize("said", [{}, {"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}])
def test_threads_do_not_spin_for_long_unless_the_user_says_so(said: dict[str, str]) -> None:
    """In a process of its own: the command is to say it before torch is loaded."""
    check = (
        "import os, sys; from scoremix.pipeline.cli import main\n"
        "assert 'torch' not in sys.modules\n"
        "try: main(['--help'])\n"
        "finally: print(os.environ.get('GOMP_SPINCOUNT'))"
    )
    quiet = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, env=quiet | said, check=True
    )
    expected = {"": "10000", "OMP_WAIT_POLICY": "None", "GOMP_SPINCOUNT": "7"}
    assert done.stdout.split()[-1] == expected["".join(said)]


def test_the_default_stages_file_is_the_one_that_init_writes() -> None:
    assert (ROOT / "stages.yaml").read_text() == (ROOT / "pipeline" / "default.yaml").read_text()


SECTIONS = (
    "ingest", "train", "pilot", "recognise", "generate", "write", "evaluate", "trial",
    "recognition",
)  # fmt: skip
# Heading of docs/options.md -> the options of its table; "": the table before the first heading.
OPTION_TABLES: dict[str, Any] = {
    "": Config,
    "max_bad": MaxBad,
    "patches": PatchesConfig,
    "A source as a mapping": SourceConfig,
    **{name: Config.model_fields[name].annotation for name in SECTIONS},
}
# For experiments, or of one value: in docs/options.md and the schema alone, so that the file that
# `init` writes stays short.
RARE_OPTIONS = {
    "train": {"focus_t0", "conditioning", "early_stop"},
    "generate": {"noise_rule"},
    "write": {"format"},
    "evaluate": {"maps", "sheet_rows", "variant_rows"},
}


def test_the_default_stages_file_names_every_common_option() -> None:
    text = (ROOT / "pipeline" / "default.yaml").read_text()
    for section, field in Config.model_fields.items():
        inside = getattr(field.annotation, "model_fields", {})
        lacking = {name for name in (section, *inside) if not re.search(rf"\b{name}\b", text)}
        assert lacking == RARE_OPTIONS.get(section, set()), section
    assert "docs/options.md" in text


def _as_yaml(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "{" + ", ".join(f"{name}: {inner}" for name, inner in value) + "}"
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def test_the_page_of_options_has_every_one_with_its_default_and_meaning() -> None:
    text = (ROOT / "docs" / "options.md").read_text()
    heading, *rest = re.split(r"^##+ (.+)$", text, flags=re.M)
    tables = {"": heading} | dict(zip(rest[::2], rest[1::2], strict=True))
    assert set(tables) == set(OPTION_TABLES)
    for title, model in OPTION_TABLES.items():
        rows = re.findall(
            r"^\| `(\w+)`( \*)? \| `?([^`|]+)`? \| (.+) \|$", tables[title], flags=re.M
        )
        fields = {k: v for k, v in model.model_fields.items() if title or k not in SECTIONS}
        assert [name for name, *_ in rows] == list(fields), title
        assert {name for name, star, *_ in rows if star} == RARE_OPTIONS.get(title, set()), title
        for name, _, default, meaning in rows:
            assert default == _as_yaml(fields[name]), (title, name)
            assert len(meaning) > 5, (title, name)


def test_json_of_files_is_parsed_in_one_place() -> None:
    """parse_json refuses what is nested too deep; models import no manifests."""
    own = "manifests.files.json_reader"
    for module, path in modules().items():
        if module != own and not module.startswith("models."):
            text = path.read_text().replace("json.loads(json.dumps(", "")
            assert "json.loads(" not in text, module


def test_every_module_says_what_it_is() -> None:
    for module, path in modules().items():
        assert ast.get_docstring(tree_of(path)), module

"""The house rules: one-way imports, the package list, no torch in manifests."""

import ast
import configparser
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from scoremix.pipeline.config import Config
from scoremix.stages.ingest.config import MaxBad, PatchesConfig, SourceConfig

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("manifests", "models", "pipeline", "stages")
MAY_IMPORT = {
    "manifests": {"manifests"},
    "models": {"models"},
    "stages": {"stages", "models", "manifests"},
    "pipeline": {"pipeline", "stages", "models", "manifests"},
}


def imported(path: Path) -> set[str]:
    """The folders of ours that a file imports, relatively or as scoremix.*."""
    found = set()
    above = len(path.relative_to(ROOT).parts)  # dots that lead out of the file's own folder
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if 0 < node.level < above:
                found.add(path.relative_to(ROOT).parts[0])
            elif node.level == above:
                names = [module] if module else [alias.name for alias in node.names]
                found.update(name.split(".")[0] for name in names)
            elif module.startswith("scoremix."):
                found.add(module.split(".")[1])
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_point_one_way(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        assert imported(path) <= MAY_IMPORT[folder], path


def test_the_package_list_names_every_folder() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = config["options"]["packages"].split()
    nested = [path.parent for folder in FOLDERS for path in (ROOT / folder).rglob("*/__init__.py")]
    expected = [*FOLDERS, *(".".join(path.relative_to(ROOT).parts) for path in nested)]
    # An editable install imports a sub-package that the list forgot; the wheel would lack it.
    assert sorted(listed) == sorted(f"scoremix.{name}" for name in expected)
    assert not (ROOT / "__init__.py").exists(), "scoremix is a namespace"


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


SECTIONS = ("ingest", "train", "generate", "write", "evaluate")
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
    "train": {"focus_t0", "conditioning"},
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


def test_every_module_says_what_it_is() -> None:
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            assert ast.get_docstring(ast.parse(path.read_text())), path

"""The requirements of setup.cfg, one a line, without torch: requirements.py setup.cfg demo,export.

The image installs them before it copies the project, so that a code change reinstalls nothing.
"""

import configparser
import re
import sys


def requirements(path: str, extras: list[str]) -> list[str]:
    """install_requires and those of `extras`, in their order."""
    config = configparser.ConfigParser()
    if not config.read(path):
        raise SystemExit(f"{path} could not be read")
    known = config["options.extras_require"]
    unknown = [name for name in extras if name not in known]
    if unknown:
        raise SystemExit(f"EXTRAS names {unknown[0]!r}; there are: {', '.join(known)}")
    texts = [config["options"]["install_requires"], *(known[name] for name in extras)]
    lines = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
    return [line for line in dict.fromkeys(lines) if not re.match(r"torch\b", line)]


if __name__ == "__main__":
    chosen = [name for name in sys.argv[2].split(",") if name]
    print("\n".join(requirements(sys.argv[1], chosen)))

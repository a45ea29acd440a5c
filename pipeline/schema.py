"""The JSON Schema of stages.yaml, for editors: python -m scoremix.pipeline.schema."""

import json
import sys

from .config import Config


def schema_text() -> str:
    """The schema as it stands in docs/stages.schema.json."""
    return json.dumps(Config.model_json_schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())

"""What accelerate is configured for elsewhere does not change a network."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json
from scoremix.stages.common.accelerator import patient_accelerator
one = patient_accelerator("cpu")
print(json.dumps([
    one.mixed_precision,
    one.gradient_accumulation_steps,
    one.state.dynamo_plugin.backend.value.lower(),
]))
"""


@pytest.mark.slow
def test_the_environment_of_accelerate_launch_changes_no_network() -> None:
    """As `accelerate launch` sets it from a configuration with these choices."""
    configured = {
        "ACCELERATE_MIXED_PRECISION": "bf16",
        "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "4",
        "ACCELERATE_DYNAMO_BACKEND": "INDUCTOR",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | configured,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == ["no", 1, "no"]

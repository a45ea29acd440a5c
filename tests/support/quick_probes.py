"""Importing it shortens the probes of speed: three steps of each kind, and not a second or two."""

import scoremix.pipeline.dry_run as dry_run
import scoremix.pipeline.steps.pilot as pilot
import scoremix.pipeline.trial.cost as cost

dry_run.PROBE_SECONDS = pilot._PROBE_SECONDS = cost._PROBE_SECONDS = 0.0

"""The spine: one page that tells ingest -> train -> plan -> generate -> write -> evaluate.

    cli        the commands; exit codes; the one place that prints
    export_command, mount_command  `export` and `mount`; what they share is in options
    run_commands  `run`, `augment` and `evaluate`
    making     what shards are made from, at hand
    product    the place where the shards lie (remote_product: in an object store)
    build      the step `write`; workers: who makes which shard
    environment  what bytes depend on besides the plan
    config     stages.yaml: composed, checked, resolved
    run        the spine itself
    ledger     stages.lock.json: what is done, stale (and why), missing
    estimate   --dry-run: counts, bytes, and time from a short probe on this machine
    status     what a run folder holds
    check_command  scoremix-pipeline check
    progress   bars on a terminal, timed lines elsewhere, JSON lines beside
    inputs     what each stage is made from
    steps      one function per stage: is it stale, do it, record it
    ranks      several processes of one launch
    derived    documents made from the code (trainers_doc: the trainers' part)
    signals    stop on request, resumable

Below it: stages (one verb per file) -> models (torch), manifests (what is on disk, no torch).
"""

"""The steps of a run: each runs one stage if its inputs changed, and records what it was made from.

ingest     sources -> the corpus
train      corpus -> score network
pilot      candidates of `generate.method: auto` -> the method of the corpus
recognise  classes of the corpus -> the new classes that a composed method makes
plan       corpus and options -> the plan
write      plan rows -> shards: shares them out, publishes the finished corpus
evaluate   shards against held-out images -> the report folder
waiting    how followers of a launch wait for the leader
"""

"""Changes to a finished run, each resumable after a kill.

forget          removes images, and every sample made from them, for good
remove_samples  rewrites shards without the forgotten samples; the others keep their bytes
repair          makes damaged or missing shards again, and proves them equal to the old ones
"""

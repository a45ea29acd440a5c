"""Building the shards of a run, by one process or many, in a folder or an object store.

clipped       the share of values that rounding cuts off
builder       corpus, network, plan and recipe at hand: builds one shard
worker        divides the shards among workers: first its own share, then what nobody else makes
destination   where shards go: what a folder and an object store have in common
room          whether shards will fit on the disk: before the training, before they are made
local         shards in a folder
object_store  shards in an object store: finished in the run folder, uploaded, read back
claimant      a run that asks for a place
ownership     which run may write at a place: claimed, checked, adopted
home          tells a moved run folder from a copied one
origin        which run made shards that do not record it
open          opens the destination that a path or URL names
stores        opens the files at a path or URL, for reading
"""

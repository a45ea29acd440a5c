"""Files and folders that appear whole or not at all, and locks.

atomic         replaces a file durably; canonical JSON and Parquet; hashes
durable        folders made and files removed so that a power cut does not undo it
atomic_tree    the same for an exported file or folder tree, with its record
json_reader    JSON that may be damaged
rows           rows of a table by their values
lock           locks of a run and of its shards
mounts         whether a rename from folder to folder can work
processes      whether a process is alive
crash_points   named points at which a test may kill the process
"""

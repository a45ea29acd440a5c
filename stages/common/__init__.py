"""What several stages share.

progress     how a stage reports progress      presets        sizes and steps by resolution
ordered_map  a parallel map in order           out_of_memory  explains such an error of a device
tensors      8-bit pixels <-> tensors          npy            the header of a .npy file
json_lines   reads logs of JSON lines          units          durations and byte counts as text
"""

"""What several stages share; imports no other stage.

presets        the table of presets: sizes and steps by resolution
expected       the quality that was measured on the images most alike
accelerator    accelerate's, for processes that wait for each other for hours
progress       the interface through which a stage reports progress
tensors        8-bit pixels to the network's tensors, and back
processors     how many processors this process may use
ordered_map    a parallel map that keeps the order and bounds memory
out_of_memory  an out-of-memory error that says what to do
units          durations and byte counts as people read them
json_lines     reads logs of JSON lines
npy            the header of a .npy file
"""

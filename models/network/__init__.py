"""The score network S(x, sigma) = F(2x - 1, sigma) / sigma.

score_net     the RefineNet and its depths
blocks        residual and refine blocks
norm          InstanceNorm++ and how sigma conditions it
norm_passes   the norm's forward and backward passes
ema           the averaged weights that generation uses
checkpoint    weights and facts on disk: safetensors and JSON, no pickle
compiled      the network through torch.compile
device        deterministic kernels
"""

"""The score network S(x, sigma): one interface, two networks.

score_net     what every network offers: sigma S(x, sigma)
architecture  everything that determines a network's shape
unet          the U-Net in the EDM parametrisation
refinenet     the published RefineNet and its depths
blocks        residual and refine blocks of the RefineNet
norm          InstanceNorm++ of the RefineNet and how sigma conditions it
norm_passes   the norm's forward and backward passes
ema           the averaged weights that generation uses
checkpoint    weights and facts on disk: safetensors and JSON, no pickle
compiled      the network through torch.compile
compilers     what torch.compile needs of a machine
device        deterministic kernels
"""

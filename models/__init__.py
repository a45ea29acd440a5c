"""Torch only: the method as functions and one network. Imports nothing of ours.

ladder     sigma_1 > ... > sigma_N and sigma(t)
diameter   the exact largest distance between two training images: sigma_1
norm       InstanceNorm++ and how sigma conditions it
blocks     residual and refine blocks
score_net  S(x, sigma) = F(2x - 1, sigma) / sigma
loss       denoising score matching, the levels it draws, its noise bands
ema        the averaged weights that generation uses
checkpoint safetensors and JSON, no pickle
device     deterministic kernels
compiled   the network's trunk through torch.compile
minimise   Algorithm 1: x* = argmin ||S(x, sigma_N)||^2
denoise    score-based denoising from t0
methods    scoremix and mixup: a method is one function
features   images -> feature vectors
networks   images -> classes, feature maps, the score network's own features
distances  Frechet and kernel distance between two sets of them
metrics    everything else that is measured over them, and how a number is recorded
"""

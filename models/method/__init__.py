"""The method: formulas and mixing methods, in the papers' letters.

methods    mixup, scoremix and bridge: each one function from two parents to an image
options    the options of the methods, without torch
ladder     sigma_1 > ... > sigma_N, and sigma(t)
diameter   sigma_1: the exact largest distance between two training images
loss       denoising score matching, eq. 10; noise levels and bands
minimise   Algorithm 1: x* = argmin ||S(x, sigma_N)||^2
denoise    score-based denoising from t0
bridge     NoiseDiffusion: mixing in the noised space
sampling   pure samples from the top of the ladder (Heun)
composition  sum_i w_i of class-conditional scores (SM-REC)
guidance   autoguidance: a weaker network shows what to leave
masks      which pixels are parent 1's: CutMix's box, FMix's smooth noise
augmix     AugMix: chains of operations on one image
mixing     x' = lambda x1 + (1-lambda) x2, and the same with the variance of images kept
"""

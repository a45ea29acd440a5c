"""Recognisers: images -> embeddings in which a class lies close together, and the losses for it.

names     names of networks and heads, without torch
networks  the networks: four convolutions, and a residual network of ten layers
heads     embeddings -> losses: softmax, CosFace, ArcFace
"""

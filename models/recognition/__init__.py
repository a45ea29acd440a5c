"""Recognisers: images -> embeddings in which a class lies close together, and the losses for it.

networks  the networks: four convolutions, and a residual network of ten layers
heads     embeddings -> losses: softmax, CosFace, ArcFace
"""

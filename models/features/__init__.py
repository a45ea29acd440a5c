"""Images -> feature vectors, class probabilities or feature maps.

extractors  TorchScript networks, Inception, and pixels as the last resort
networks    classifiers and feature maps
"""

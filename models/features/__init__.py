"""Images -> feature vectors, class probabilities or feature maps.

extractors  TorchScript networks, Inception, and pixels as the last resort
random_net  a fixed network with random weights: the default
published   networks that are published: names, addresses, digests
convert     makes a TorchScript file of one that torchvision, timm or a local file offers
errors      what all of them raise
networks    classifiers and feature maps
"""

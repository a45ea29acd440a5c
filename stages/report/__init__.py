"""report/index.html: one page that opens anywhere, prints, and asks nothing of a network.

facts     what a run folder says of itself, read and counted
pictures  images of the corpus as data: strips, neighbours
measures  the records of an evaluation as a table
charts    curves and histograms as SVG
generated the images of a GAN that was trained on the corpus, where some were judged
page      all of it through one template (page.html; compare.html puts runs side by side)
"""

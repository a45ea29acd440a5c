"""Pilot: a few hundred mixtures, made in every way that fits the time -> the method of the corpus.

pilot       the stage
config      section `pilot` of stages.yaml
candidates  the ways of mixing that are compared, and which of them fit the time
rows        the mixtures that every candidate makes
scores      a candidate's images on held-out images: distance, copies, contrast, detail
rule        chooses a candidate from the table
record      pilot.json and table.txt
"""

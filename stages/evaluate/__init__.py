"""Evaluate: generated and held-out images -> metrics, a verdict, a contact sheet.

evaluate           the stage
config             section `evaluate` of stages.yaml
row_sample         chooses the plan rows to evaluate
regenerate         regenerates them with their intermediate steps; keeps features, norms and hashes
real_images        features of held-out and training images
feature_cache      features kept on disk
sensitivity        does the extractor see known damage?
baseline           what a method's images are compared with, in words
comparisons        distances by band of lambda, step against step
by_ratio           distances of the whole corpus at every ratio
appearance         contrast and power spectrum, as shares of real images'
metric_records     precision, recall, diversity, copying: every metric as a record
optional_metrics   metrics that need weights of their own: classifier score, LPIPS, SIFID
verdict            better than mixup, no different, or worse
verdict_json       the same for metrics.json
answers            the first questions in one table, and the ratio that is recommended
variants           compares variants of the method on equal rows
variant_catalogue  the built-in variants
contact_sheet      parents, mixup, minimised and final images side by side
lambda_strips      the same pairs at five weights, mixup above and the method below
new_class_sheet    images of new classes beside those of the classes that they mix
sentences          distances in sentences
tables             metrics as tables of text
number_format      numbers for sentences, tables and JSON
"""

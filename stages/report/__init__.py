"""Report: a run folder -> one HTML page that opens anywhere (page.html; compare.html for several;
style.html is the style of both).

page                writes the page of a run
compare_page        writes the page that compares runs
answers_section     the head of the page: a trial's answer, the first questions
appearance_section  contrast and power spectrum
random_grids        real, mixed and made images at random
training_reading    what the training loss says
run_facts           metrics, inputs, training, time and energy of a run
metrics_table       metric records as a table
variants_table      variants as a table
pilot_section       section on the pilot that chose the method
trial_section       section on the trial: did the corpus pay?
gan_samples         sections on samples of a trained GAN
pictures            images as data inside the page
charts              curves and histograms as SVG
"""

"""trial: does the corpus pay? The same GAN on several corpora, seeds and images shown alike.

trial       every arm with every seed, in processes
config      section `trial` of stages.yaml
arms        which corpora are compared, read from text
arm_corpus  the images of an arm on disk
one         one task, an arm with a seed: train, judge, keep the result
gan_run     the training of one GAN, resumed from its last state
snapshots   its averaged generator on disk, and the samples that it draws
command     a trainer of the user's own, run and watched
quoting     paths in a command, quoted as their place asks for
supervisor  a program that ends a trainer when its trial dies
trainer_script  a program that runs trainers whose scripts lack something
task_pool   works on tasks, here or in processes beside each other
locks       waits for what another process on the same trial makes
judge       a snapshot's samples against held-out images
one_shot    translated patches of one image against the one target image
outcome     what all of them say together: table, differences, one sentence
notes       what to know of the samples that arms were judged by
pairs_table  a translation pair by pair: distance and LPIPS
picture     the curves
vote        a page on which people compare the arms, and the count of their answers
"""

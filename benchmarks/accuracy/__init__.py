"""Accuracy on the standard sets, from the files to the figure: python -m benchmarks.accuracy NAME.

NAME is one of `benchmarks.accuracy.rows.ROWS`: a data set, a pipeline and the accuracy to reach. A
row is fitted on all training images and looks at the test images once, at the end. It is done in
stages: reading, the fit of each step, the test. A run that was stopped goes on after its last
finished stage when the same command is given again, a network after its last epoch. What is kept of
a row is told by `benchmarks.accuracy.results`.

``python -m benchmarks.accuracy table`` writes the table of all kept results into README.md.

The exit code is 0 if the accuracy to reach was reached, 1 if it was missed, and 2 if the row was
not run: for want of a GPU or of the data, or because the result that is there already is of other
versions or of another recipe.
"""

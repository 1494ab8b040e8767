"""Benchmarks of the literature: `antifake benchmark`. Nothing is downloaded.

suites    which suites there are, and how their pictures lie on disk (suites.toml)
sets      labelled pictures
layouts   the pictures of a suite's folder, set by set
parquet   the same for pictures that are inside Parquet files
results   one file a set: a judged picture a line
run       judges what the results lack
official  the ranking of two losses by which the official code judges
figures   accuracies of sets and suites, with intervals
means     means over sets
published figures of other detectors, with their sources (published.csv)
table     ours and theirs beside each other; with cells and notes
writing   tables as Markdown, CSV, TeX and HTML
"""

"""The HTML report of `antifake evaluate --report`: figures, their uncertainty, and mistakes.

estimates   numbers with 95 % intervals, by bootstrap over sources or pictures
measures    the metrics of scores with known truth
headers     metadata of a file, read before a pixel is decoded
blind       a baseline that classifies headers alone
comparison  the detector and the baseline on the same pictures
tables      results by source, generator and kind
mistakes    the worst mistakes, as thumbnails
robustness  results on degraded copies
charts, drawing, page    how it looks
making      all of it in order
"""

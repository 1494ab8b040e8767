"""The page that `antifake evaluate --report` writes: figures, what they are worth, and mistakes.

estimates   a number with its 95 % interval, by drawing sources or pictures again
measures    what is counted, on scores whose truth is known
headers     what a file says of itself before a pixel is decoded
blind       a classifier of headers alone
comparison  the detector and the blind classifier on the same pictures
tables      the same by source, generator and kind
mistakes    the worst of them, as thumbnails
robustness  the same pictures after what the web does to them
charts, drawing, page    how it looks
"""

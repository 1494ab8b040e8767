"""The vision tower tuned in earnest, on a machine with a GPU that cannot reach a network.

    antifake mini-gpu pack DATA     here: pieces of at most 37 MiB, each to be carried by itself
    on_machine.sh                   there: one line a call; see its head

pieces       pictures and weights packed into files of a limited size, and unpacked again
views        views of pictures drawn by many processes, as arrays
autoencoder  real pictures sent through an autoencoder: AI-made in their pixels, alike in content
tower        the tower with low-rank updates or with layers that may be tuned, and its tokens
probe        what reads the tokens while ways are compared
tuning       the loop that tunes tower and probe
compare      ways compared on left-out owners, each result written at once
bridge       the InstructBLIP on a tuned tower, for left-out owners and what ships
layers       a bridge that reads several layers of the tower
fused        bridges that several layers of the frozen tower teach, and that read some
"""

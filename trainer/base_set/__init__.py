"""The base set: pictures that no training of the model used, kept as features of its tower.

Half of them are replayed while a word is learned, so that it changes nothing elsewhere. The other
half, of other sources, is for the gate alone: is a candidate worse on them than what was shipped?

    compact     the tower's tokens of a picture in 3 KB
    clustering  the clusters whose means those are
    kept        reads the set of a model; the data lie beside it, keyed by the vision tower
    rows        keys and values of all that, and which of it is replayed
    building    `make base-set DATA=folder` makes it again
"""

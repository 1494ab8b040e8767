"""Scans of many pictures on one machine or a cluster, by Ray Data: `antifake scan --engine ray`.

    environment  what Ray reads before it is imported
    stores       files here and objects in stores
    listing      which pictures there are: one row for each, with its id
    decoding     the first stage that the engine runs in many processes
    judging      the second
    output       the folder with all results: what it is of, how far it is, its rows
    pools        how many processes there are, and whether a cluster has room for them
    cluster      Ray, started here or joined
    run          puts these together

Ray does the rest: scheduling, back-pressure, retries, and the checkpoint that a scan resumes from.
A picture that cannot be judged goes through both stages as a row with its sentence, so none stops a
scan, and each has exactly one row.

This package alone imports ray and pyarrow, which the extra `bulk` installs.
"""

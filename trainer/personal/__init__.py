"""Retraining on a person's own answers: `python -m antifake.trainer.personal REQUEST.json`.

The daemon starts it as a process of its own. It reads crops, fits a few candidates, judges them by
one gate and writes a report, and the candidate if there is one. It changes nothing that is in use.

    request     what is asked for
    stages      what it is doing, for people
    needed      how many pictures it takes
    pictures    crops, their features, and which of them show the same photograph
    material    answers and base set, as the model reads them
    candidates  a threshold, a calibration, a word: the cheapest first
    word        how a word is learned, and its threshold
    trials      each candidate before the gate
    gate        whether a candidate may replace the prompt in use, in words
    budget      the threshold for "at most 1 in N of my real pictures"
    retraining  all of it in order
    report      what is written at the end
"""

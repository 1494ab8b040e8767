"""The recipe that builds the embedded model out of pretrained parts. Not needed to judge.

parts     MiniLM and SmolLM2 out of their wheels, vocabularies cut to the words of questions
bridge    an InstructBLIP put together from them and CLIP's tower, before training
pictures  examples, sampling, whole sources left out, views drawn without the label
features  what the frozen tower sees, once, on disk
teacher   two regularised probes on those features, which the bridge learns from
tune      the loop
recipe    all of it in order: one command, one seed
"""

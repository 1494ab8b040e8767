"""The detector: pictures in, verdicts out. It knows nothing of the rest.

No HTTP, no database, no config file. Importing this package imports no torch.

Shapes, here and wherever core and trainer hold tensors:

    B  images in a batch          P  learned tokens in the prompt (1 in the paper)
    T  tokens in the text         Q  query tokens of the Q-Former
    N  patches and the CLS token  H  width of the embedding table at hand
"""

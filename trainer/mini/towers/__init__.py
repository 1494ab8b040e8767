"""Vision towers as InstructBlipVisionModel runs them.

All are vision transformers with the norm before each part, so their weights only get other names.
What differs is computed exactly: layer scale is multiplied into the matrices before it, an encoder
without a class token gets none (core.vision_encoder.PatchesAlone), and positions for another number
of patches are interpolated as transformers does it.

layouts   how each kind names its weights
config    what a folder says of itself, read strictly
weights   from safetensors only, by our names
tower     the shipped tower, or another from a folder or the hub
"""

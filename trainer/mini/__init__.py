"""The recipe that builds the embedded model from pretrained parts. Not needed to judge pictures.

pretrained     MiniLM and SmolLM2 from their wheels, their vocabularies cut to a few words
towers         the vision tower: CLIP's, or another in its place
bridge         an InstructBLIP assembled from all of them, before training
sampling       which pictures are learned from, and how often each is drawn
augmentation   views of a picture, drawn without looking at its label
token_cache    the outputs of the frozen tower, computed once and kept on disk
teacher        a support vector machine on those outputs, which the bridge is distilled from
distillation   the training loop
unseen         splits that leave out whole owners of sources, and the estimate from them
held_out       verdicts on what was left out, and the calibration that keeps their promises
export         the trained model as package data
recipe         all of it in order: one command, one seed
"""

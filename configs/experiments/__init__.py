"""Experiments that compare parts of the model, arm against arm and over seeds."""

"""Embeddings of labelled photos that do not exist, tuned to the published figures: a yardstick for rules of answers."""

"""The tables of the published model card, measured on a user's own CSV files and checkpoints."""

//! The encoders against PyTorch, by goldens that `bridgeclip-models goldens` makes.

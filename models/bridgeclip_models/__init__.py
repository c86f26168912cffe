"""Makes the model packages that BridgeCLIP Edge runs on a device."""

__version__ = "1.0.0"

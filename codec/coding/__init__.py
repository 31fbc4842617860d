"""The data path: picture -> file and back."""

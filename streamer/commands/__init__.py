"""The serving commands of `voxwatch`. Their modules import what they need when they are called."""

"""Networks, training, export, calibration and evaluation. Torch lives here and only here."""

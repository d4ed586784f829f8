"""From held-out scores to likelihood ratios, bounds and alarms."""

"""Support vector machines on vectors too long or too many for those of scikit-learn."""

"""Stage 4, training: configs and a data set in, fitted models out; then one ensemble, calibrated."""

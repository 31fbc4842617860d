"""Networks, rate, data, training and export; the only package that imports Keras."""

"""metalearner: labelled data and a sentence in, a measured and watched model out."""

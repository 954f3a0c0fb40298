"""arXiv 2412.10898 (Hu, Zhou, Yu): transformer, LSTM and MLP, encodings, shares of the data, optimizers."""

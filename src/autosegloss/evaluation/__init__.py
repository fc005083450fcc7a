"""Networks in use: judged in detail, compared, and predicting masks of images."""

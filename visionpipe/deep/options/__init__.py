"""What the words and numbers among an estimator's parameters stand for."""

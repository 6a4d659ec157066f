"""Real packages under AWS's client and under fastlambda: what was answered, logged and recorded."""

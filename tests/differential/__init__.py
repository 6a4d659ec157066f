"""The same handlers and events under AWS's client and under fastlambda, compared byte by byte."""

"""Zip files for Lambda: layers, function packages, the exec wrapper.  Never loaded in Lambda."""

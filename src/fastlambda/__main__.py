"""`python -m fastlambda TARGET`: runs the function TARGET, or the one that _HANDLER names."""

from fastlambda._core import main

if __name__ == "__main__":
    main()

"""`python -m fastlambda TARGET`: runs the function TARGET, or the one that _HANDLER names."""

try:
    from fastlambda._core import main
except ImportError as exc:
    from fastlambda._broken import explain

    explain(exc)

if __name__ == "__main__":
    main()

"""`python -m headtohead` is `headtohead`."""

from headtohead.cli import main

if __name__ == "__main__":
    main()

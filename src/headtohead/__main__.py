"""`python -m headtohead` is `headtohead`."""

from headtohead.cli.app import main

if __name__ == "__main__":
    main()

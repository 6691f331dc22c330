"""`python -m deploy.cli` is the command `axis`."""

from deploy.cli.main import main

if __name__ == "__main__":
    main()

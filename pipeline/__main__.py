"""`python -m pipeline` is the command `loopmix`."""

from pipeline.cli.start import main

if __name__ == "__main__":
    main()

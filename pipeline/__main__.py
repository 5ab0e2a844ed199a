"""`python -m pipeline` is the command `loopmix`."""

from pipeline.cli.main import main

if __name__ == "__main__":
    main(prog_name="loopmix")

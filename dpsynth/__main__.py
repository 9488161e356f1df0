"""`python -m dpsynth`: the `dpsynth` command."""

from dpsynth.commands.__main__ import main

if __name__ == "__main__":
    main()

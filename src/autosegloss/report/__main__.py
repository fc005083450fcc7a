"""python -m autosegloss.report table 2 RUNS...   prints a table of the paper, our scores beside the release's"""

from autosegloss.cli.report import main

if __name__ == "__main__":
    main()

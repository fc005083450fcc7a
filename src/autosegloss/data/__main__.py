"""python -m autosegloss.data check data=voc data.root=ROOT   prints the content and the faults of a data set"""

from autosegloss.cli.data import main

if __name__ == "__main__":
    main()
